"""One walk over the sessions of a universe: decide at a close, fill and mark at the next one.

Shapes: T sessions of the span, S stocks, F factors. Row t of every output belongs to the decision
at the close of session t.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from rl_core.kinds.portfolio.allocations import portfolio_places
from rl_core.kinds.portfolio.market import PanelMarket
from rl_core.kinds.portfolio.settings import Allocation
from rl_core.trading.rebalancing import (
    NEVER_ORDERED,
    Recent,
    buy_with,
    cost_rate,
    is_trade,
    remember,
    wanted_change,
)
from rl_core.trading.terms import RebalanceRates

Array = NDArray[np.float64]


class PortfolioAccount(NamedTuple):
    """An account at a close, to go on from."""

    units: Array  # (S,)
    cash: float
    equity: float
    peak_equity: float
    recent: Recent


@dataclass(frozen=True)
class PortfolioWalk:
    """The account around each decision, (T,) float64 each but the units."""

    units: Array  # (T, S) at the close of session t
    cash: Array  # at the close of session t
    equity: Array
    recent: Recent  # of (T,) each
    peak_equity: Array
    traded_value: Array  # at the close of session t + 1; NaN for the last
    cost: Array  # paid there; NaN for the last

    def at(self, row: int) -> PortfolioAccount:
        """The account at the decision of a row."""
        recent = Recent(*(column[row] for column in self.recent))
        return PortfolioAccount(
            self.units[row], self.cash[row], self.equity[row], self.peak_equity[row], recent
        )


def new_account(stocks: int, cash: float) -> PortfolioAccount:
    """An account with nothing but cash."""
    recent = Recent(0.0, 0.0, 0.0, 0.0, 0.0, NEVER_ORDERED)
    return PortfolioAccount(np.zeros(stocks), cash, cash, cash, recent)


def walk_portfolio(
    market: PanelMarket,
    first: int,
    action: NDArray[np.int8],
    menu: Sequence[Allocation],
    portfolios: Sequence[str],
    rates: RebalanceRates,
    opened: PortfolioAccount,
) -> PortfolioWalk:
    """Trade decisions (T,).

    Args:
        market: all sessions.
        first: session of the first decision.
        action: (T,) index into the menu.
        menu: the desk's regimes.
        portfolios: names along the second axis of the market's weights.
        rates: what trading costs.
        opened: the account at the first close.
    """
    span = slice(first, first + len(action))
    listed = market.listed
    portfolio = np.array(portfolio_places(menu, portfolios))
    columns, units = _walk(
        listed.price[span],
        listed.trades[span],
        listed.leaves[span],
        market.portfolios[span],
        market.stock_impact_scale[span],
        market.slippage[span],
        portfolio[action],
        np.array([regime.invested for regime in menu])[action],
        np.array([regime.is_order for regime in menu])[action],
        rates,
        opened,
    )
    cash, equity, peak, traded, cost, *recent = columns
    return PortfolioWalk(units, cash, equity, Recent(*recent), peak, traded, cost)


# no cache=True: numba would not notice a change in trading/, and fill by rules of the past
@njit
def _walk(
    price: Array,
    trades: NDArray[np.bool_],
    leaves: NDArray[np.bool_],
    portfolios: Array,
    impact_scale: Array,
    slippage: Array,
    portfolio: NDArray[np.int64],
    invested: Array,
    is_order: NDArray[np.bool_],
    rates: RebalanceRates,
    opened: PortfolioAccount,
) -> tuple[Array, Array]:
    num_sessions, num_stocks = price.shape
    columns = np.full((11, num_sessions), np.nan)
    held = np.zeros((num_sessions, num_stocks))
    units, change, rate = opened.units.copy(), np.zeros(num_stocks), np.zeros(num_stocks)
    cash, equity, peak, recent = opened.cash, opened.equity, opened.peak_equity, opened.recent
    for t in range(num_sessions):
        held[t] = units
        columns[0, t], columns[1, t], columns[2, t] = cash, equity, peak
        for row in range(6):
            columns[5 + row, t] = recent[row]
        if t + 1 == num_sessions:
            break
        now = t + 1
        marked = 0.0
        for s in range(num_stocks):
            if leaves[now, s]:
                cash += units[s] * price[now, s]
                units[s] = 0.0
            marked += units[s] * price[now, s]
        before = cash + marked
        proceeds, needed, cost, traded = 0.0, 0.0, 0.0, 0.0
        for s in range(num_stocks):
            weight = portfolios[t, portfolio[t], s] * invested[t]
            change[s] = wanted_change(
                units[s] * price[now, s], weight, before, 1.0 * trades[now, s],
                1.0 * is_order[t],
            )  # fmt: skip
            rate[s] = cost_rate(change[s], before, slippage[now, s], impact_scale[t, s], rates)
            proceeds += max(-change[s], 0.0) * (1.0 - rate[s])
            needed += max(change[s], 0.0) * (1.0 + rate[s])
        purchase = buy_with(cash + proceeds, needed)
        cash = purchase.cash
        for s in range(num_stocks):
            value = max(change[s], 0.0) * purchase.share - max(-change[s], 0.0)
            units[s] = (units[s] * price[now, s] + value) / price[now, s]  # all sold is none left
            cost += abs(value) * rate[s]
            traded += abs(value)
        after = before - cost
        has_traded = 1.0 * is_trade(traded, before)
        recent = remember(recent, np.log(after / equity), cost / before, has_traded)
        equity, peak = after, max(peak, after)
        columns[3, t], columns[4, t] = traded, cost
    return columns, held
