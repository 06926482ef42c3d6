"""How an order for target weights becomes fills, stock by stock, and what that costs.

Sell first, then buy with the cash that there is: no account ever borrows. The functions use
operators alone, so that one source serves the backtest's loop over stocks (numba) and an
environment's batch (torch). Shapes: N accounts, S stocks; T sessions for tables.
"""

from typing import Any, NamedTuple

import numpy as np
from numba.extending import register_jitable
from numpy.typing import NDArray

from rl_core.trading.fills import choose
from rl_core.trading.terms import Number, RebalanceRates

Array = NDArray[np.float64]


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
