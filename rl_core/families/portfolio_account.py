"""The account that asks a portfolio desk for a decision, and what the decision means for it.

Shapes: S stocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

from rl_core.backtest.panel_preparation import PanelMarket
from rl_core.errors import TollgateError, validated
from rl_core.features.allocations import Regime
from rl_core.trading.rebalancing import (
    NEVER_ORDERED,
    PortfolioCostConfig,
    Recent,
    rebalance,
)

SMALLEST_SHOWN = 1e-6


class PortfolioAccountNow(BaseModel):
    """What an account says beside its weights: nothing but cash and no history unless told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    equity: float | None = Field(default=None, gt=0, description="account currency")
    drawdown: float = Field(default=0.0, ge=0, lt=1)
    sessions_since_order: float = Field(default=NEVER_ORDERED, ge=0)
    last_return: FiniteFloat = Field(default=0.0, description="log, of the last session")
    return_5: FiniteFloat = 0.0
    return_20: FiniteFloat = 0.0
    cost_20: float = Field(default=0.0, ge=0, description="fraction of equity")
    last_cost: float = Field(default=0.0, ge=0, description="fraction of equity")


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


def order_details(
    market: PanelMarket,
    account: Holdings,
    regime: Regime,
    portfolios: Sequence[str],
    costs: PortfolioCostConfig,
    initial_cash: float,
) -> dict[str, Any]:
    """Weights after the order, what to trade for it, and the cost to expect, by the fills' own law.

    Slippage is taken at its mean. All are fractions of equity, at the last close: the fill comes a
    session later.
    """
    equity = account.equity or initial_cash
    value = account.weights[None] * equity
    weight = market.portfolios[-1:, portfolios.index(regime.portfolio or portfolios[0])]
    filled = rebalance(
        value,
        equity - value.sum(-1),
        weight * regime.invested,
        market.listed.is_listed[-1:] * 1.0,
        np.array([float(regime.is_order)]),
        costs.max_slippage_rate / 2,
        market.stock_impact_scale[-1:],
        costs.rates,
    )
    after = filled.value / (equity - filled.cost[:, None])

    def named(column: NDArray[np.float64]) -> dict[str, float]:
        return {
            symbol: round(float(part), 6)
            for symbol, part in zip(market.symbols, column, strict=True)
            if abs(part) > SMALLEST_SHOWN
        }

    return {
        "regime": regime.meaning,
        "weights": {**named(after[0]), "CASH": round(max(float(1 - after.sum()), 0.0), 6)},
        "orders": named((filled.value - value)[0] / equity),
        "expected_cost": float(filled.cost[0] / equity),
    }
