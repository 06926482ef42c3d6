"""One walk over the bars: decide at a close, fill at the next open, mark at the next close.

Shapes: B bars. Row t of every output belongs to the decision at the close of bar t.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from rl_core.base.units import NS_PER_DAY
from rl_core.kinds.spot.settings import AccountConfig
from rl_core.market.bars import half_spread, nanoseconds
from rl_core.trading.accounts import (
    HOLD,
    NEVER_TRADED_DAYS,
    target_position,
    trade_and_mark,
)
from rl_core.trading.performance import Performance, round_trip_profits, summarise
from rl_core.trading.terms import CostRates

Array = NDArray[np.float64]


class SpotAccount(NamedTuple):
    """An account at a close, to go on from."""

    cash: float  # quote currency
    units: float
    days_since_trade: float


@dataclass(frozen=True)
class Walk:
    """The account around each decision, each (B,) float64; NaN for a fill that never came."""

    cash: Array  # at the close of bar t
    units: Array
    equity: Array
    fill_price: Array  # at the open of bar t + 1; NaN where nothing traded
    traded_units: Array
    cost: Array  # commission, slippage, spread, impact, borrowing, over bar t + 1
    equity_after_fill: Array  # at the open of bar t + 1
    target: Array  # position that the order wants, fraction of equity
    days_since_trade: Array  # at bar t, since the bar of the last fill; huge before the first


def walk_bars(
    bars: pd.DataFrame,
    action: NDArray[np.int8],
    strength: Array,
    impact_scale: Array,
    rates: CostRates,
    account: AccountConfig,
    opened: SpotAccount | None = None,
) -> Walk:
    """Trade the decisions through the bars.

    Args:
        bars: (B,) bars that meet the contract.
        action: (B,) HOLD, BUY or SELL, taken at each close.
        strength: (B,) in [0, 1].
        impact_scale: (B,) known at each close.
        rates: what trading costs.
        account: cash to start with and positions allowed.
        opened: the account at the first close; one with nothing but that cash if left out.
    """
    ns = nanoseconds(bars["timestamp"])
    columns = _walk(
        (ns - ns[0]) / NS_PER_DAY,
        bars["open"].to_numpy(),
        bars["close"].to_numpy(),
        action,
        strength,
        impact_scale,
        half_spread(bars),
        rates,
        opened or SpotAccount(account.initial_cash, 0.0, NEVER_TRADED_DAYS),
        account.min_position,
        account.max_position,
    )
    return Walk(*columns)


# no cache=True: numba would not notice a change in trading/, and fill by rules of the past
@njit
def _walk(
    days: Array,
    open_price: Array,
    close_price: Array,
    action: NDArray[np.int8],
    strength: Array,
    impact_scale: Array,
    half_spread: Array,
    rates: CostRates,
    opened: SpotAccount,
    min_position: float,
    max_position: float,
) -> Array:
    num_bars = len(close_price)
    rows = np.empty((9, num_bars))
    cash, units, last_trade_day = opened.cash, opened.units, -opened.days_since_trade
    equity = cash + units * close_price[0]
    for t in range(num_bars):
        rows[0, t], rows[1, t], rows[2, t] = cash, units, equity
        target = target_position(action[t], strength[t], min_position, max_position)
        rows[7, t] = target
        rows[8, t] = days[t] - last_trade_day
        if t + 1 == num_bars:
            rows[3:7, t] = np.nan
            break
        mark = trade_and_mark(
            cash, units, action[t] != HOLD, target,
            open_price[t + 1], close_price[t + 1], impact_scale[t], rates, half_spread[t + 1],
        )  # fmt: skip
        fill = mark.fill
        traded = fill.traded_units != 0
        rows[3, t] = fill.price if traded else np.nan
        rows[4, t] = fill.traded_units
        rows[5, t] = fill.cost + mark.borrow_cost
        rows[6, t] = fill.cash + fill.units * open_price[t + 1]
        cash, units, equity = mark.cash, mark.units, mark.equity
        last_trade_day = days[t + 1] if traded else last_trade_day
    return rows


def walk_performance(bars: pd.DataFrame, walk: Walk) -> Performance:
    """Summary of a walk over the bars."""
    ns = nanoseconds(bars["timestamp"])
    fills = slice(0, len(ns) - 1)
    traded_value = np.abs(walk.traded_units[fills]) * np.nan_to_num(walk.fill_price[fills])
    return summarise(
        ns,
        walk.equity,
        walk.units[1:],
        round_trip_profits(walk.equity, walk.units[1:], walk.equity_after_fill[fills]),
        traded_value,
        walk.cost[fills],
    )
