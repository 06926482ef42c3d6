"""The quality report finds what is odd and where; health looks backwards only."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_core.market.quality import QualityConfig, assess_quality, data_health
from tests.conftest import HOUR_NS, make_bars

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
    np.testing.assert_allclose(data_health(bars, HOUR_NS, CONFIG), expected)


@given(st.lists(st.floats(5, 20), min_size=3, max_size=40), st.data())
def test_later_bars_cannot_change_earlier_health(closes: list[float], data: st.DataObject) -> None:
    bars = make_bars(closes)
    end = data.draw(st.integers(1, len(closes)))
    whole = data_health(bars, HOUR_NS, CONFIG)
    np.testing.assert_array_equal(whole[:end], data_health(bars[:end], HOUR_NS, CONFIG))


def test_rows_are_those_of_the_file_and_the_rest_is_seen_in_order_of_time() -> None:
    bars = make_bars([10.0, 10.1, 10.2, 12.0, 12.1]).iloc[[0, 1, 3, 2, 4]].reset_index(drop=True)
    report = assess_quality(bars, HOUR_NS, CONFIG, row_numbers=np.array([2, 3, 4, 5, 6]))
    assert report.unsorted_rows == [5]
    assert report.jump_rows == [4]  # the bar of 12.0 stands in line 4
    assert report.gaps == []
    assert report.mean_health == pytest.approx((1 + 1 + 1 + 0.75 + 0.75) / 5)
