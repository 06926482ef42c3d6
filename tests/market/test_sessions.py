"""Sessions, holidays and the daily break, against what the exchange published."""

import numpy as np
import pandas as pd
import pytest

from rl_core.base.errors import TollgateError
from rl_core.base.units import NS_PER_MINUTE, length_ns
from rl_core.market.sessions import bars_since, session_clock, trading_hours
from rl_core.market.settings import SessionConfig

CME = SessionConfig()


def ns(*times: str) -> np.ndarray:
    return pd.to_datetime(list(times), utc=True).as_unit("ns").asi8


@pytest.mark.parametrize(
    ("time", "is_open"),
    [
        ("2024-07-02 20:59", True),  # 15:59 in Chicago, the last minute
        ("2024-07-02 21:00", False),  # the daily break
        ("2024-07-02 21:59", False),
        ("2024-07-02 22:00", True),
        ("2024-07-04 16:59", True),  # Independence Day: early close at noon
        ("2024-07-04 17:00", False),
        ("2024-07-05 20:59", True),
        ("2024-07-05 21:00", False),  # Friday evening
        ("2024-07-06 12:00", False),
        ("2024-07-07 22:00", True),  # Sunday evening
        ("2024-12-25 12:00", False),  # Christmas
        ("2024-01-16 22:00", False),  # in winter Chicago is an hour further away
        ("2024-01-16 23:00", True),
    ],
)
def test_the_market_is_open_when_the_exchange_is(time: str, is_open: bool) -> None:
    hours = trading_hours(CME, ns(time), NS_PER_MINUTE)
    assert hours.is_open(ns(time)).tolist() == [is_open]


def test_the_grid_goes_on_over_breaks_and_weekends() -> None:
    times = ns("2024-07-05 20:59", "2024-07-07 22:00", "2024-07-07 22:01", "2024-07-08 20:59",
               "2024-07-08 22:00")  # fmt: skip
    hours = trading_hours(CME, times, NS_PER_MINUTE)
    position = hours.position(times)
    assert (position - position[0]).tolist() == [0, 1, 2, 1380, 1381]
    assert hours.time(position).tolist() == times.tolist()


def test_without_sessions_a_market_is_always_open() -> None:
    times = ns("2024-07-05 20:00", "2024-07-07 20:00")
    hours = trading_hours(None, times, 60 * NS_PER_MINUTE)
    assert hours.position(times).tolist() == [0, 48]
    assert hours.is_open(times).all()


def test_the_clock_by_hand() -> None:
    times = ns("2024-07-01 20:58", "2024-07-01 20:59", "2024-07-02 22:00", "2024-07-03 13:30")
    rolled = np.array([False, False, False, True])
    clock = session_clock(times, rolled, CME, NS_PER_MINUTE)
    assert clock.session.tolist() == [0, 0, 1, 1]  # the second of July has no bars
    assert clock.minutes_since_open.tolist() == [1379, 1380, 1, 931]
    assert clock.minutes_to_close.tolist() == [1, 0, 1379, 449]
    assert clock.is_regular.tolist() == [False, False, False, True]  # 9:30 in New York
    assert clock.starts.tolist() == [True, False, True, True]
    assert clock.ends.tolist() == [False, True, True, False]


def test_an_unknown_calendar_is_one_clear_error() -> None:
    with pytest.raises(TollgateError, match="a calendar of exchange-calendars, was NOWHERE"):
        trading_hours(SessionConfig(calendar="NOWHERE"), ns("2024-07-02 20:58"), NS_PER_MINUTE)


@pytest.mark.parametrize(
    ("calendar", "interval", "last", "now", "closed"),
    [
        (None, "1h", "2024-03-01 10:00", "2024-03-01 11:30", 0),  # 11:00 is still open
        (None, "1h", "2024-03-01 10:00", "2024-03-01 12:00", 1),
        (None, "1h", "2024-03-01 10:00", "2024-03-08 10:00", 167),
        ("24/5", "1h", "2024-03-01 23:00", "2024-03-03 12:00", 0),  # Friday night, on Sunday
        ("24/5", "1h", "2024-03-01 23:00", "2024-03-04 02:30", 2),
        ("XNYS", "1d", "2024-03-01 00:00", "2024-03-04 15:00", 0),  # Monday has not closed
        ("XNYS", "1d", "2024-03-01 00:00", "2024-03-09 15:00", 5),  # a week, on its Saturday
        (None, "1h", "2024-03-01 10:00", "2024-02-01 10:00", 0),  # a clock that is wrong
    ],
)
def test_bars_that_closed_since_are_counted_in_open_time(
    calendar: str | None, interval: str, last: str, now: str, closed: int
) -> None:
    sessions = None if calendar is None else SessionConfig(calendar=calendar)
    last_ns, now_ns = ns(last, now)
    assert bars_since(sessions, last_ns, now_ns, length_ns(interval)) == closed


def test_a_last_bar_that_the_close_cuts_short_has_a_place_of_its_own() -> None:
    times = ["14:30", "15:30", "16:30", "17:30", "18:30", "19:30", "20:30"]  # of New York's day
    day = ns(*[f"2024-03-04 {time}" for time in times], "2024-03-05 14:30")
    hours = trading_hours(SessionConfig(calendar="XNYS"), day, length_ns("1h"))
    assert np.diff(hours.position(day)).tolist() == [1] * 7
    assert hours.is_on_grid(day).all()
    assert hours.is_open(day).all()
