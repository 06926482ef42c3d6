"""How an order for target weights becomes fills, stock by stock, and what that costs.

Sell first, then buy with the cash that there is: no account ever borrows. The functions use
operators alone, so that one source serves the backtest's loop over stocks (numba) and an
environment's batch (torch). Shapes: N accounts, S stocks; T sessions for tables.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rl_core.market.panel import FIRST_DAY_NS, NS_PER_DAY
from rl_core.trading.fills import Number, choose

Array = NDArray[np.float64]

_BEYOND_CAP = 1e6  # finite, since fills choose by products


class RebalanceRates(NamedTuple):
    """The numbers that a fill needs."""

    fixed: float  # commission and half-spread, fraction of the traded value
    max_impact: float  # fraction of the traded value
    impact_of_share: float  # 1.0: impact counts the trade in shares of equity; 0.0: in money


class PortfolioCostConfig(BaseModel):
    """What a trade of one stock costs. Rates are fractions of the traded value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commission_rate: float = Field(default=0.0001, ge=0, lt=0.1)
    half_spread_rate: float = Field(default=0.0002, ge=0, lt=0.1)
    max_slippage_rate: float = Field(
        default=0.0005, ge=0, lt=0.1, description="drawn evenly from 0 to this, always against us"
    )
    slippage_seed: int = Field(default=0, ge=0)
    impact: Literal["portfolio_sqrt", "volume_sqrt", "none"] = Field(
        default="portfolio_sqrt",
        description="coefficient x sqrt(trade / equity), or "
        "coefficient x sigma x sqrt(trade / mean value traded in a day)",
    )
    impact_coefficient: float | None = Field(
        default=None, ge=0, description="0.01 for portfolio_sqrt, 1 for volume_sqrt"
    )
    max_impact_rate: float = Field(default=0.05, ge=0, lt=0.5)

    @property
    def rates(self) -> RebalanceRates:
        """The same costs as a fill takes them."""
        return RebalanceRates(
            fixed=self.commission_rate + self.half_spread_rate,
            max_impact=self.max_impact_rate,
            impact_of_share=float(self.impact == "portfolio_sqrt"),
        )

    def impact_scale(self, volatility: Array, traded_value: Array | None) -> Array:
        """Impact rate of a trade of size 1, known at each close, (T, S).

        Args:
            volatility: (T, S) sd of daily returns, NaN is unknown.
            traded_value: (T, S) mean value traded in a day; needed by `volume_sqrt`.

        Where nothing was traded, or the volatility is not known, it is so large that the fill's cap
        applies. Source of the law: Toth et al. 2011, eq. 1, https://arxiv.org/abs/1105.1694
        """
        if self.impact == "volume_sqrt":
            if traded_value is None:
                raise TypeError("volume_sqrt must be given the traded value, was without")
            coefficient = 1.0 if self.impact_coefficient is None else self.impact_coefficient
            with np.errstate(divide="ignore", invalid="ignore"):
                scale = volatility / np.sqrt(traded_value)
            return coefficient * np.nan_to_num(scale, nan=_BEYOND_CAP, posinf=_BEYOND_CAP)
        coefficient = 0.01 if self.impact_coefficient is None else self.impact_coefficient
        return np.full_like(volatility, coefficient if self.impact == "portfolio_sqrt" else 0.0)

    def slippage(self, ns: NDArray[np.int64], symbols: Sequence[str]) -> Array:
        """What is drawn for each stock on each day, (T, S), in 0..max_slippage_rate.

        A draw belongs to a day and a symbol: neither more days nor more stocks change it.
        """
        days = (ns - FIRST_DAY_NS) // NS_PER_DAY
        draws = [
            np.random.Generator(
                np.random.Philox(key=[self.slippage_seed, zlib.crc32(symbol.encode())])
            ).random(int(days[-1]) + 1)[days]
            for symbol in symbols
        ]
        return self.max_slippage_rate * np.stack(draws, axis=1)


@register_jitable
def wanted_change(
    value: Number, weight: Number, equity: Number, can_trade: Number, is_order: Number
) -> Number:
    """Value to buy (> 0) or sell (< 0) of one stock."""
    return (weight * equity - value) * can_trade * is_order


@register_jitable
def cost_rate(
    change: Number, equity: Number, slippage: Number, impact_scale: Number, rates: RebalanceRates
) -> Number:
    """Fraction of a trade's value that it costs, always > 0 and against us.

    Args:
        change: value traded, signed.
        equity: of the account before the trade, > 0.
        slippage: drawn for this stock and day.
        impact_scale: impact rate of a trade of size 1.
        rates: the rest.
    """
    size = abs(change) / (rates.impact_of_share * equity + (1.0 - rates.impact_of_share))
    impact = impact_scale * size**0.5
    return rates.fixed + slippage + choose(impact > rates.max_impact, rates.max_impact, impact)


class Purchase(NamedTuple):
    """What the cash after the sales pays for."""

    share: Number  # 0..1 of what is wanted
    cash: Number  # that is left, >= 0


@register_jitable
def buy_with(cash: Number, needed: Number) -> Purchase:
    """Buy all that is wanted or, where the cash is short, the same share of each stock.

    Args:
        cash: after the sales, >= 0.
        needed: value wanted and what it costs, >= 0.
    """
    is_short = (needed > cash) & (needed > 0)
    share = cash / choose(is_short, needed, 1.0 + 0.0 * needed)
    share = choose(is_short, share, 1.0 + 0.0 * share)
    return Purchase(share, choose(is_short, 0.0 * cash, cash - needed))


class Rebalanced(NamedTuple):
    """N accounts after their fills; arrays, or tensors on any device."""

    value: Any  # (N, S) held
    cash: Any  # (N,)
    traded_value: Any  # (N,)
    cost: Any  # (N,)


def rebalance(
    value: Any,
    cash: Any,
    weight: Any,
    can_trade: Any,
    is_order: Any,
    slippage: Any,
    impact_scale: Any,
    rates: RebalanceRates,
) -> Rebalanced:
    """Trade N accounts into target weights at one close.

    What cannot trade keeps its value; where it is more than its weight, cash is short for the rest.

    Args:
        value: (N, S) held, marked at that close.
        cash: (N,).
        weight: (N, S) targets, rows sum to at most 1.
        can_trade: (N, S) 1.0 or 0.0.
        is_order: (N,) 1.0 or 0.0.
        slippage: (N, S) drawn.
        impact_scale: (N, S) impact rate of a trade of size 1.
        rates: the rest of the costs.
    """
    equity = cash + value.sum(-1)
    change = wanted_change(value, weight, equity[:, None], can_trade, is_order[:, None])
    rate = cost_rate(change, equity[:, None], slippage, impact_scale, rates)
    buys, sales = change.clip(min=0), (-change).clip(min=0)
    purchase = buy_with(cash + (sales * (1 - rate)).sum(-1), (buys * (1 + rate)).sum(-1))
    bought = buys * purchase.share[:, None]
    turnover = bought + sales
    return Rebalanced(
        value=value + bought - sales,
        cash=purchase.cash,
        traded_value=turnover.sum(-1),
        cost=(turnover * rate).sum(-1),
    )


@register_jitable
def is_trade(traded_value: Number, equity: Number) -> Number:
    """Was more traded than rounding alone would?"""
    return traded_value > DUST * equity


class Recent(NamedTuple):
    """What an account remembers of its last sessions; each a number or a tensor (N,)."""

    last_return: Number  # log, of the last session
    return_5: Number  # exponentially weighted sum of log returns, memory of 5 sessions
    return_20: Number  # the same, of 20
    cost_20: Number  # of costs as a fraction of equity
    last_cost: Number  # of the last order that traded
    sessions_since_order: Number  # very many before the first


NEVER_ORDERED = 1e6
DUST = 1e-5  # fraction of equity
_COST_UNIT = 0.001


@register_jitable
def remember(recent: Recent, growth: Number, cost: Number, has_traded: Number) -> Recent:
    """After one more session.

    Args:
        recent: before it.
        growth: log of equity after over before.
        cost: paid, as a fraction of equity.
        has_traded: did an order trade?
    """
    return Recent(
        last_return=growth,
        return_5=recent.return_5 * (1 - 1 / 5) + growth,
        return_20=recent.return_20 * (1 - 1 / 20) + growth,
        cost_20=recent.cost_20 * (1 - 1 / 20) + cost,
        last_cost=choose(has_traded, cost, recent.last_cost),
        sessions_since_order=choose(has_traded, 0.0 * cost, recent.sessions_since_order + 1.0),
    )


def portfolio_features(
    weights: Any, equal_weights: Any, exposures: Any, recent: Recent, drawdown: Any, tanh: Any
) -> tuple[Any, ...]:
    """The account features of the state, each (N,): see `features.state.PORTFOLIO_FEATURES`.

    Args:
        weights: (N, S) value held / equity; an array, or a tensor on any device.
        equal_weights: (N, S) of the universe.
        exposures: (N, F, S) of each stock to each factor, -1..1.
        recent: what the account remembers.
        drawdown: (N,) 0..1 below the highest equity.
        tanh: `np.tanh` or `torch.tanh`, to match.
    """
    invested = weights.sum(-1)
    held = (exposures * weights[:, None]).sum(-1)
    return (
        1 - invested,
        *(held[:, position] for position in range(exposures.shape[1])),
        (weights**2).sum(-1),
        abs(weights - equal_weights).sum(-1) / 2,
        100 * recent.last_return,
        100 * recent.return_5,
        100 * recent.return_20,
        drawdown,
        recent.cost_20 / _COST_UNIT,
        recent.last_cost / _COST_UNIT,
        tanh(recent.sessions_since_order / 10),
    )
