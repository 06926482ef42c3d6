"""The quality report finds what is odd and where; health looks backwards only."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_core.base.units import NS_PER_MINUTE
from rl_core.market.quality import assess_quality, data_health
from rl_core.market.sessions import trading_hours
from rl_core.market.settings import QualityConfig, SessionConfig
from tests.conftest import HOUR_NS, make_bars


def positions(bars: pd.DataFrame) -> np.ndarray:
    """Place of each hour since the first."""
    return ((bars["timestamp"] - bars["timestamp"].iloc[0]) // pd.Timedelta("1h")).to_numpy()


CONFIG = QualityConfig(stale_bars=3, jump_return=0.10, health_window_bars=4)


def test_gaps_have_a_start_and_a_length() -> None:
    bars = make_bars([10.0, 10.1, 10.2, 10.3, 10.4, 10.5]).drop(index=[2, 3]).reset_index(drop=True)
    report = assess_quality(bars, HOUR_NS, CONFIG)
    assert [(gap.start, gap.bars) for gap in report.gaps] == [("2020-01-01 02:00:00+00:00", 2)]
    assert report.missing_bars == 2


def test_every_oddity_is_reported_with_its_rows() -> None:
    bars = make_bars([10.0, 10.1, 12.0, 12.0, 12.0, 12.0, 12.1])
    bars.loc[3:5, ["open", "high", "low", "close"]] = 12.0
    bars.loc[1, "volume"] = 0.0
    bars.loc[6, "high"] = 12.0  # below the close
    report = assess_quality(bars, HOUR_NS, CONFIG)
    assert report.jump_rows == [2]
    assert report.stale_rows == [5]
    assert report.zero_volume_rows == [1]
    assert report.ohlc_contradiction_rows == [6]


def test_duplicates_unsorted_and_off_grid_rows_are_found() -> None:
    bars = make_bars([10.0, 10.1, 10.2, 10.3])
    hours = pd.to_datetime(
        ["2020-01-01 00:00", "2020-01-01 02:00", "2020-01-01 01:00", "2020-01-01 02:30"]
    )
    bars["timestamp"] = hours.tz_localize("UTC").as_unit("ns")
    report = assess_quality(bars, HOUR_NS, CONFIG)
    assert report.unsorted_rows == [2]
    assert report.off_grid_rows == [3]
    bars["timestamp"] = bars["timestamp"].iloc[[0, 1, 1, 2]].to_numpy()
    bars["timestamp"] = pd.to_datetime(bars["timestamp"], utc=True).dt.as_unit("ns")
    assert assess_quality(bars, HOUR_NS, CONFIG).duplicate_rows == [2]


def test_health_is_the_share_of_sound_bars_among_the_last_expected_ones() -> None:
    bars = make_bars([10.0] * 7)
    bars["close"] = bars["high"] = [10.0, 10.1, 10.2, 10.3, 10.4, 10.5, 10.6]
    bars.loc[1, "volume"] = 0.0
    bars = bars.drop(index=4).reset_index(drop=True)
    # bars 0 1 2 3 5 6; bar 1 is unsound, bar 4 is missing; windows of 4 hours
    expected = [1.0, 0.5, 2 / 3, 0.75, 0.75, 0.75]
    np.testing.assert_allclose(data_health(bars, positions(bars), CONFIG), expected)


@given(st.lists(st.floats(5, 20), min_size=3, max_size=40), st.data())
def test_later_bars_cannot_change_earlier_health(closes: list[float], data: st.DataObject) -> None:
    bars = make_bars(closes)
    end = data.draw(st.integers(1, len(closes)))
    whole = data_health(bars, positions(bars), CONFIG)
    np.testing.assert_array_equal(
        whole[:end], data_health(bars[:end], positions(bars[:end]), CONFIG)
    )


def test_rows_are_those_of_the_file_and_the_rest_is_seen_in_order_of_time() -> None:
    bars = make_bars([10.0, 10.1, 10.2, 12.0, 12.1]).iloc[[0, 1, 3, 2, 4]].reset_index(drop=True)
    report = assess_quality(bars, HOUR_NS, CONFIG, row_numbers=np.array([2, 3, 4, 5, 6]))
    assert report.unsorted_rows == [5]
    assert report.jump_rows == [4]  # the bar of 12.0 stands in line 4
    assert report.gaps == []
    assert report.mean_health == pytest.approx((1 + 1 + 1 + 0.75 + 0.75) / 5)


def test_rows_in_another_unit_are_found_wherever_they_stand() -> None:
    bars = make_bars([100.0 + i % 7 for i in range(60)])
    prices = ["open", "high", "low", "close"]
    bars.loc[0:4, prices] /= 100  # at the beginning
    bars.loc[20:29, prices] /= 100
    bars.loc[40, "low"] = 1.05  # one column of one row
    report = assess_quality(bars, HOUR_NS, CONFIG)
    assert report.unit_error_rows == [*range(5), *range(20, 30), 40]


def test_a_market_that_grows_a_hundredfold_slowly_has_one_unit() -> None:
    bars = make_bars([100.0 * 1.01**i for i in range(470)])
    assert assess_quality(bars, HOUR_NS, CONFIG).unit_error_rows == []


def test_a_feed_that_died_is_found_and_a_quiet_hour_is_not() -> None:
    bars = make_bars([100.0 + i for i in range(40)])
    for first, last in ((3, 5), (10, 24)):
        bars.loc[first:last, ["open", "high", "low", "close"]] = 100.0
        bars.loc[first:last, "volume"] = 0.0
    assert assess_quality(bars, HOUR_NS, CONFIG).dead_rows == list(range(10, 25))


def test_a_feed_that_repeats_its_last_bar_is_found() -> None:
    bars = make_bars([100.0 + i for i in range(40)])
    prices = ["open", "high", "low", "close"]
    bars.loc[10:24, prices] = bars.loc[9, prices].to_numpy()
    bars.loc[10:24, "volume"] = 0.0
    assert assess_quality(bars, HOUR_NS, CONFIG).dead_rows == list(range(10, 25))


def test_closed_sessions_are_no_gap_and_cost_no_health() -> None:
    """An early close, a weekend and the daily break; one minute is missing."""
    hours = trading_hours(
        SessionConfig(), pd.to_datetime(["2024-07-03", "2024-07-09"], utc=True).as_unit("ns").asi8,
        NS_PER_MINUTE,
    )  # fmt: skip
    position = np.arange(
        hours.position(hours.open_ns[4:5])[0], hours.position(hours.open_ns[7:8])[0]
    )
    times = pd.Series(pd.to_datetime(hours.time(np.delete(position, 1000)), utc=True).as_unit("ns"))
    bars = make_bars([100.0] * len(times)).assign(timestamp=times)
    bars["close"] = bars["open"] = 100 + np.arange(len(bars)) % 2 * 0.25
    bars["high"], bars["low"] = 100.25, 100.0
    report = assess_quality(bars, NS_PER_MINUTE, CONFIG, sessions=SessionConfig())
    assert report.missing_bars == 1
    assert [gap.bars for gap in report.gaps] == [1]
    assert report.gaps[0].start == str(pd.Timestamp(hours.time(position[1000:1001])[0], tz="UTC"))
    assert report.mean_health > 0.999
    late = bars.assign(timestamp=times.where(times != times.iloc[-1], times + pd.Timedelta("2h")))
    report = assess_quality(late, NS_PER_MINUTE, CONFIG, sessions=SessionConfig())
    assert report.outside_session_rows == [len(bars) - 1]
