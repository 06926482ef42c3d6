"""What each regime of a portfolio desk means, and what it costs to get there.

Shapes: T sessions, S stocks.
"""

import datetime as dt
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.kinds.portfolio.kind import PortfolioKind
from rl_core.kinds.portfolio.market import PanelMarket
from rl_core.kinds.portfolio.quotes import quote, weights_of
from rl_core.kinds.portfolio.settings import Allocation, PortfolioDesk
from rl_core.kinds.portfolio.universe import LONGEST_WINDOW
from rl_core.market.settings import Split
from rl_core.market.splits import split_bars


def regime_table(
    market: PanelMarket, desk: PortfolioDesk, day: str | None, every: int | None
) -> list[dict[str, Any]]:
    """One record a regime: its meaning, its weights by stock, and the cost of entering it.

    Costs are those of an account of the desk's initial cash that holds nothing but cash, or the
    equal-weight portfolio; slippage is taken at its mean. They are fractions of equity, averaged
    over all sessions with a complete state; weights are those of the last one. With a day, both are
    that day's. With `every` a record also says how an account did which ordered the regime every so
    many sessions, on the training span alone: the test span is the gate's.

    Raises:
        TollgateError: a day that is no session, or one without a complete state.
    """
    if market.first_bar >= len(market.bars):
        raise TollgateError(
            f"a universe must have more than {LONGEST_WINDOW} sessions, the longest window, "
            f"was {len(market.bars)}"
        )
    sessions = slice(market.first_bar, None) if day is None else _session(market, day)
    return [
        _record(market, desk, regime, sessions)
        | ({} if every is None else _kept_up(market, desk, regime, every))
        for regime in desk.allocations.menu
    ]


def _kept_up(
    market: PanelMarket, desk: PortfolioDesk, regime: Allocation, every: int
) -> dict[str, float | None]:
    if every < 1:
        raise TollgateError(f"--every must be at least 1 session, was {every}")
    train = np.flatnonzero(split_bars(market.horizon_ns, desk.splits) == Split.TRAIN)
    num_bars = int(train[-1]) + 1 - market.first_bar
    walk = PortfolioKind(desk).kept_up(market, market.first_bar, num_bars, regime, every)
    figures = (
        "annual_return", "sharpe", "sharpe_low", "sharpe_high", "max_drawdown", "annual_turnover",
    )  # fmt: skip
    return {name: getattr(walk.performance, name) for name in figures}


def _session(market: PanelMarket, day: str) -> slice:
    try:
        wanted = pd.Timestamp(dt.date.fromisoformat(day)).value
    except ValueError:
        raise TollgateError(f"--date must read like 2008-10-10, was {day}") from None
    place = int(np.searchsorted(market.ns, wanted))
    if place == len(market.ns) or market.ns[place] != wanted or place < market.first_bar:
        first, last = (market.bars["timestamp"].iloc[row] for row in (market.first_bar, -1))
        raise TollgateError(
            f"--date must be a session between {first:%Y-%m-%d} and {last:%Y-%m-%d}, was {day}"
        )
    return slice(place, place + 1)


def _record(
    market: PanelMarket, desk: PortfolioDesk, regime: Allocation, sessions: slice
) -> dict[str, Any]:
    target = weights_of(market, desk, regime)[sessions]
    equal, equity = market.portfolios[sessions, 0], desk.initial_cash

    def cost_from(before: NDArray[np.float64]) -> float:
        filled = quote(market, desk, regime, before, sessions, equity)
        return float((filled.cost / equity).mean())

    return {
        "regime": regime.name,
        "meaning": regime.meaning,
        "weights": {
            symbol: float(weight)
            for symbol, weight in zip(market.symbols, target[-1], strict=True)
            if weight > 0
        },
        "cost_from_cash": cost_from(np.zeros_like(equal)),
        "cost_from_equal_weight": cost_from(equal),
    }
