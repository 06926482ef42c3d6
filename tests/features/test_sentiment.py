"""Sentiment is joined as of a bar's close: never ahead, never stale."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_core.base.errors import TollgateError
from rl_core.features.sentiment import late_rows, read_sentiment, sentiment_at_close
from rl_core.features.settings import SentimentConfig
from tests.conftest import HOUR_NS, make_bars

TIMESTAMPS = make_bars([10.0, 10.1, 10.2, 10.3, 10.4])["timestamp"]  # 00:00 to 04:00


def read(tmp_path: Path, text: str, max_age_hours: float = 24.0) -> np.ndarray:
    (tmp_path / "news.csv").write_text("published,news,macro\n" + text)
    published = read_sentiment(SentimentConfig(path=Path("news.csv")), tmp_path)
    return sentiment_at_close(TIMESTAMPS, HOUR_NS, published, max_age_hours)


def test_a_bar_sees_what_was_published_before_its_close_and_nothing_later(tmp_path: Path) -> None:
    rows = "2020-01-01 01:30,0.5,-0.2\n2020-01-01 03:00,0.9,0.1\n"
    # 01:30 is known at the close of the 01:00 bar; 03:00 not at the 02:00 bar's, which is 03:00
    expected = [[0, 0], [0.5, -0.2], [0.5, -0.2], [0.9, 0.1], [0.9, 0.1]]
    np.testing.assert_allclose(read(tmp_path, rows), expected)


def test_old_news_is_no_news(tmp_path: Path) -> None:
    values = read(tmp_path, "2020-01-01 00:30,0.5,0.5\n", max_age_hours=1.0)
    assert values[:, 0].tolist() == [0.5, 0.0, 0.0, 0.0, 0.0]


def test_without_a_source_sentiment_is_zero(tmp_path: Path) -> None:
    assert read_sentiment(SentimentConfig(), tmp_path) is None
    assert not sentiment_at_close(TIMESTAMPS, HOUR_NS, None, 24.0).any()


def test_a_late_row_counts_from_when_it_was_known(tmp_path: Path) -> None:
    text = (
        "published,news,macro,known\n"
        "2020-01-01 00:10,0.1,0,2020-01-01 00:10\n"
        "2020-01-01 00:20,0.9,0,2020-01-01 02:30\n"  # came two hours late
        "2020-01-01 02:40,0.3,0,2020-01-01 01:00\n"  # known before it was published: then
        "2020-01-01 00:15,0.7,0,2020-01-01 03:30\n"  # late, and older than what is known
    )
    (tmp_path / "late.csv").write_text(text)
    rows = read_sentiment(SentimentConfig(path=Path("late.csv")), tmp_path)
    assert rows is not None
    values = sentiment_at_close(TIMESTAMPS, HOUR_NS, rows, 24.0)
    assert values[:, 0].tolist() == [0.1, 0.1, 0.3, 0.3, 0.3]
    # an age counts from when a row was published, not from when it came
    assert sentiment_at_close(TIMESTAMPS, HOUR_NS, rows[:2], 2.0)[2:, 0].tolist() == [0, 0, 0]


@given(
    st.lists(st.tuples(st.integers(0, 300), st.integers(0, 200), st.floats(-1, 1)), max_size=20),
    st.integers(0, 4),
)
def test_rows_that_come_later_change_no_earlier_bar(
    rows: list[tuple[int, int, float]], bar: int
) -> None:
    start = TIMESTAMPS.iloc[0]
    table = pd.DataFrame(rows, columns=["minute", "delay", "news"])
    table["published"] = start + pd.to_timedelta(table["minute"], "min")
    table["known"] = table["published"] + pd.to_timedelta(table["delay"], "min")
    table = table.assign(macro=0.0).sort_values("published", kind="stable")
    close = TIMESTAMPS.iloc[bar] + pd.Timedelta(HOUR_NS, "ns")
    then = table[table["known"] < close]
    whole = sentiment_at_close(TIMESTAMPS, HOUR_NS, table, 24.0)
    assert (whole[bar] == sentiment_at_close(TIMESTAMPS, HOUR_NS, then, 24.0)[bar]).all()


def test_rows_that_were_added_or_changed_afterwards_are_late() -> None:
    times = pd.to_datetime(["2020-01-01 01:00", "2020-01-01 03:00"], utc=True)
    before = pd.DataFrame({"published": times, "news": [0.1, 0.2], "macro": 0.0})
    more = pd.DataFrame(
        {"published": [times[0], times[1] + pd.Timedelta("1h")], "news": [0.5, 0.3], "macro": 0.0}
    )
    now = pd.concat([before, more]).sort_values("published", kind="stable")
    assert late_rows(before, now)["news"].tolist() == [0.5]
    assert late_rows(before, before).empty
    twice = pd.concat([before, before])  # two items of one minute that say the same
    assert late_rows(twice, twice).empty
    assert late_rows(twice, now)["news"].tolist() == [0.5]
    assert late_rows(before, before.assign(news=[0.1, 0.9]))["news"].tolist() == [0.9]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("2020-01-01,1.5,0\n", r"news sentiment must be within -1\.\.1, was .*1\.5.* \(row 0\)"),
        ("2020-01-01,0,good\n", r"macro sentiment must be within -1\.\.1, was 'good' \(row 0\)"),
        ("soon,0,0\n", "published must be times, was not in row 0"),
    ],
)
def test_a_wrong_sentiment_file_is_refused(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TollgateError, match=message):
        read(tmp_path, text)
