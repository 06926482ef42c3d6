"""Sentiment is joined as of a bar's close: never ahead, never stale."""

from pathlib import Path

import numpy as np
import pytest

from rl_core.base.errors import TollgateError
from rl_core.features.sentiment import read_sentiment, sentiment_at_close
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
