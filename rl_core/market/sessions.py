"""When a market is open: sessions, holidays and the daily break, as time on a grid of bars.

Hours come from exchange-calendars. Its calendar of the CME's index futures lets a session last from
17:00 to 17:00 in Chicago; the daily break is taken off the end here. Shapes: B bars, S sessions.
"""

import warnings
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.base.units import NS_PER_DAY, NS_PER_MINUTE
from rl_core.market.settings import SessionConfig

ALWAYS = np.iinfo(np.int64).max
Ns = NDArray[np.int64]


@dataclass(frozen=True)
class TradingHours:
    """Stretches of time at which a market is open, and the grid of bars that they hold."""

    open_ns: Ns  # (S,) strictly increasing
    close_ns: Ns  # (S,)
    interval_ns: int

    @property
    def is_always_open(self) -> bool:
        """True if the market has no sessions, as crypto has none."""
        return bool(self.close_ns[-1] == ALWAYS)

    @property
    def _before(self) -> Ns:
        """Bars in all sessions before each, (S,)."""
        # a last bar that the close cuts short counts as one
        lengths = -((self.open_ns[:-1] - self.close_ns[:-1]) // self.interval_ns)
        return np.concatenate([[0], np.cumsum(lengths)])

    def session(self, ns: Ns) -> Ns:
        """Index of the last session that has opened, (B,); -1 before the first."""
        return np.searchsorted(self.open_ns, ns, side="right") - 1

    def is_open(self, ns: Ns) -> NDArray[np.bool_]:
        """Does a bar that opens then lie inside a session? (B,)."""
        session = self.session(ns)
        return (session >= 0) & (ns < self.close_ns[np.maximum(session, 0)])

    def position(self, ns: Ns) -> Ns:
        """Place of each bar on the grid, (B,): consecutive bars differ by 1, also overnight."""
        session = np.maximum(self.session(ns), 0)
        into = np.minimum(ns, self.close_ns[session] - 1) - self.open_ns[session]
        return self._before[session] + into // self.interval_ns

    def time(self, position: Ns) -> Ns:
        """Opening time of the bar at a place on the grid."""
        before = self._before
        session = np.searchsorted(before, position, side="right") - 1
        return self.open_ns[session] + (position - before[session]) * self.interval_ns

    def is_on_grid(self, ns: Ns) -> NDArray[np.bool_]:
        """Does a bar open a whole number of intervals after its session? (B,)."""
        return (ns - self.open_ns[np.maximum(self.session(ns), 0)]) % self.interval_ns == 0


def trading_hours(config: SessionConfig | None, ns: Ns, interval_ns: int) -> TradingHours:
    """The hours of a market around some bars (B,), in order; always open without a config.

    Raises:
        TollgateError: exchange-calendars knows no such calendar, or not for that time.
    """
    if config is None:
        return TradingHours(ns[:1], np.array([ALWAYS]), interval_ns)
    if interval_ns >= NS_PER_DAY:  # a session is one bar
        days = _calendar(config.calendar, *_around(int(ns.min()), int(ns.max())))[2]
        return TradingHours(days, days + NS_PER_DAY, interval_ns)
    opens, closes = _sessions(config.calendar, int(ns.min()), int(ns.max()))
    longest = (24 * 60 - config.daily_break_minutes) * NS_PER_MINUTE
    return TradingHours(opens, np.minimum(closes, opens + longest), interval_ns)


def bars_since(config: SessionConfig | None, last_ns: int, now_ns: int, interval_ns: int) -> int:
    """How many bars have closed since a last one that opened then; time that is closed has none.

    Raises:
        TollgateError: exchange-calendars knows no such calendar, or not for that time.
    """
    ns = np.array([last_ns, max(now_ns, last_ns)])
    hours = trading_hours(config, ns, interval_ns)
    last, now = hours.position(ns)
    is_open = bool(hours.is_open(ns)[1])  # the bar of this moment has not closed
    return max(int(now - last) - is_open, 0)


def session_days(calendar: str, first_ns: int, last_ns: int) -> Ns:
    """Midnight, UTC, of the date of each session in a stretch of time.

    Raises:
        TollgateError: exchange-calendars knows no such calendar, or not for that time.
    """
    days = _calendar(calendar, *_around(first_ns, last_ns))[2]
    return days[(days >= first_ns) & (days <= last_ns)]


def _sessions(calendar: str, first_ns: int, last_ns: int) -> tuple[Ns, Ns]:
    """Opening and closing times around a stretch of time."""
    opens, closes, _ = _calendar(calendar, *_around(first_ns, last_ns))
    return opens, closes


def _around(first_ns: int, last_ns: int) -> tuple[str, str]:
    """First and last date of a calendar that holds a stretch of time with a week to spare."""
    day = pd.Timedelta(days=1)
    start = (pd.Timestamp(first_ns) - 7 * day).normalize()
    end = (pd.Timestamp(last_ns) + 7 * day).normalize()
    return f"{start:%Y-%m-%d}", f"{end:%Y-%m-%d}"


@lru_cache(maxsize=16)
def _calendar(name: str, start: str, end: str) -> tuple[Ns, Ns, Ns]:
    """Opening time, closing time and date of each session."""
    from exchange_calendars import errors, get_calendar  # takes half a second

    try:
        with warnings.catch_warnings():  # its own use of pandas, which nobody here can mend
            warnings.simplefilter("ignore", pd.errors.Pandas4Warning)
            schedule = get_calendar(name, start=start, end=end).schedule
    except (errors.CalendarError, ValueError) as error:
        raise TollgateError(
            f"sessions must come from a calendar of exchange-calendars, was {name} from {start} to "
            f"{end}: {str(error).splitlines()[0]}"
        ) from None
    opens, closes = (
        pd.DatetimeIndex(schedule[column].array).as_unit("ns").asi8.copy()
        for column in ("open", "close")
    )
    return opens, closes, pd.DatetimeIndex(schedule.index.array).as_unit("ns").asi8.copy()


@dataclass(frozen=True)
class SessionClock:
    """Where each bar stands in its session, each (B,); known at the bar's close.

    Sessions end by the calendar, whether or not there is a bar at that minute, and contracts when
    the exchange says so in advance: which bars are missing later is never looked at.
    """

    session: Ns  # 0, 1, ... over the sessions that have bars
    minutes_since_open: NDArray[np.float64]  # at the bar's close
    minutes_to_close: NDArray[np.float64]  # at the bar's close; >= 0
    is_regular: NDArray[np.bool_]  # inside regular hours
    starts: NDArray[np.bool_]  # first bar of a session, or of a contract
    ends: NDArray[np.bool_]  # its close is the session's, or it is the last of its contract


def session_clock(
    ns: Ns, rolls: NDArray[np.bool_], config: SessionConfig, interval_ns: int
) -> SessionClock:
    """Clock of bars that lie inside the sessions.

    Args:
        ns: (B,) strictly increasing.
        rolls: (B,) True on the first bar of another contract.
        config: the calendar.
        interval_ns: a bar's length.
    """
    hours = trading_hours(config, ns, interval_ns)
    session = hours.session(ns)
    to_close = (hours.close_ns[session] - ns - interval_ns) / NS_PER_MINUTE
    regular_open, regular_close = _sessions(config.regular_calendar, int(ns.min()), int(ns.max()))
    opens = np.concatenate([[True], np.diff(session) != 0])
    starts = opens | rolls
    return SessionClock(
        session=np.cumsum(opens) - 1,
        minutes_since_open=(ns + interval_ns - hours.open_ns[session]) / NS_PER_MINUTE,
        minutes_to_close=np.maximum(to_close, 0.0),
        is_regular=TradingHours(regular_open, regular_close, interval_ns).is_open(ns),
        starts=starts,
        ends=(to_close <= 0) | np.append(rolls[1:], False),
    )
