"""The account that asks a portfolio desk for a decision.

Shapes: S stocks.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rl_core.base.errors import TollgateError, validated
from rl_core.kinds.portfolio.market import PanelMarket
from rl_core.trading.rebalancing import NEVER_ORDERED, Recent


class PortfolioAccountNow(BaseModel):
    """What an account says beside its weights: nothing but cash and no history unless told."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    equity: float | None = Field(default=None, gt=0, le=1e15, description="account currency")
    drawdown: float = Field(default=0.0, ge=0, lt=1)
    sessions_since_order: float = Field(default=NEVER_ORDERED, ge=0, le=NEVER_ORDERED)
    last_return: float = Field(default=0.0, ge=-10, le=10, description="log, of the last session")
    return_5: float = Field(
        default=0.0,
        ge=-10,
        le=10,
        description="log returns added up, of which a fifth is forgotten each session",
    )
    return_20: float = Field(
        default=0.0, ge=-10, le=10, description="the same, of which a twentieth is forgotten"
    )
    cost_20: float = Field(
        default=0.0, ge=0, le=10, description="costs as fractions of equity, added up likewise"
    )
    last_cost: float = Field(
        default=0.0, ge=0, le=1, description="of the last order that traded, fraction of equity"
    )


@dataclass(frozen=True)
class Holdings:
    """An account as the state sees it."""

    weights: NDArray[np.float64]  # (S,) value held / equity
    drawdown: float
    equity: float | None
    recent: Recent  # of (1,) each


def account_now(market: PanelMarket, figures: Mapping[str, float]) -> Holdings:
    """Figures by name: a symbol is the weight held of it, the others are `PortfolioAccountNow`'s.

    Raises:
        TollgateError: a name that is neither, or weights that cannot be.
    """
    if both := sorted(set(figures) & set(market.symbols) & set(PortfolioAccountNow.model_fields)):
        raise TollgateError(
            f"the account: a stock must not be called like a figure of the account, was {both[0]}: "
            "rename it in the source"
        )
    held = {name: figure for name, figure in figures.items() if name in market.symbols}
    rest = {name: figure for name, figure in figures.items() if name not in market.symbols}
    if unknown := sorted(set(rest) - set(PortfolioAccountNow.model_fields)):
        raise TollgateError(
            f"the account: must name stocks of the universe or one of "
            f"{', '.join(PortfolioAccountNow.model_fields)}, was {', '.join(unknown)}"
        )
    now = validated(PortfolioAccountNow, rest, "the account")
    weights = np.array([held.get(symbol, 0.0) for symbol in market.symbols])
    if not (np.isfinite(weights).all() and (weights >= 0).all() and weights.sum() <= 1 + 1e-9):
        raise TollgateError(
            f"the account: weights must be >= 0 and sum to at most 1, was {weights.sum():g} in sum "
            f"and {weights.min():g} at least"
        )
    gone = [s for s, w, is_in in zip(market.symbols, weights, market.listed.is_listed[-1],
                                     strict=True) if w > 0 and not is_in]  # fmt: skip
    if gone:
        raise TollgateError(
            f"the account: stocks held must be listed at the last close, was {', '.join(gone)}"
        )
    figure = {name: np.array([getattr(now, name)]) for name in Recent._fields}
    return Holdings(weights, now.drawdown, now.equity, Recent(**figure))
