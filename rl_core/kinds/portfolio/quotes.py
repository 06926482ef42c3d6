"""What it costs to enter a regime, and what an order for one means: quotes by the fills' own law.

Slippage is taken at its mean, and every listed stock is taken to trade.
Shapes: T sessions, S stocks.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rl_core.kinds.portfolio.account import Holdings
from rl_core.kinds.portfolio.allocations import portfolio_places
from rl_core.kinds.portfolio.market import PanelMarket
from rl_core.kinds.portfolio.settings import Allocation, PortfolioDesk
from rl_core.trading.rebalancing import Rebalanced, rebalance

Array = NDArray[np.float64]

SMALLEST_SHOWN = 1e-6


def weights_of(market: PanelMarket, desk: PortfolioDesk, regime: Allocation) -> Array:
    """What a regime asks for, (T, S); nothing for one that is no order."""
    (place,) = portfolio_places([regime], desk.allocations.portfolios)
    return market.portfolios[:, place] * regime.invested


def quote(
    market: PanelMarket,
    desk: PortfolioDesk,
    regime: Allocation,
    before: Array,
    sessions: slice,
    equity: float,
) -> Rebalanced:
    """Fills at the closes of some sessions, of accounts that held the weights `before` (T, S)."""
    value = before * equity
    return rebalance(
        value,
        equity - value.sum(-1),
        weights_of(market, desk, regime)[sessions],
        market.listed.is_listed[sessions] * 1.0,
        np.full(len(value), float(regime.is_order)),
        desk.costs.max_slippage_rate / 2,
        market.stock_impact_scale[sessions],
        desk.costs.rates,
    )


def order_details(
    market: PanelMarket, desk: PortfolioDesk, regime: Allocation, account: Holdings
) -> dict[str, Any]:
    """Weights after the order, what to trade for it, and the cost to expect.

    All are fractions of equity, at the last close: the fill comes a session later.
    """
    equity = account.equity or desk.initial_cash
    before = account.weights[None]
    filled = quote(market, desk, regime, before, slice(-1, None), equity)
    after = filled.value / (equity - filled.cost[:, None])

    def named(column: Array) -> dict[str, float]:
        return {
            symbol: round(float(part), 6)
            for symbol, part in zip(market.symbols, column, strict=True)
            if abs(part) > SMALLEST_SHOWN
        }

    return {
        "regime": regime.meaning,
        "weights": named(after[0]),
        "cash_weight": round(max(float(1 - after.sum()), 0.0), 6),
        "orders": named(filled.value[0] / equity - before[0]),
        "expected_cost": float(filled.cost[0] / equity),
    }
