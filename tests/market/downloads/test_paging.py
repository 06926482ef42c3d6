"""Pages of any kind become each closed bar once, or one error."""

from dataclasses import dataclass, field
from datetime import date

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tenacity import wait_none

from rl_core.base.errors import TollgateError
from rl_core.base.units import NS_PER_HOUR
from rl_core.lab.markets.spot import simulate_bars
from rl_core.market.downloads.download import download, rebased
from rl_core.market.downloads.paging import ATTEMPTS, TransientError, fetch_since
from rl_core.market.settings import BarsConfig, DownloadConfig, SessionConfig

BARS = simulate_bars(400, seed=3)
START = BARS["timestamp"].iloc[0]
HOUR = pd.Timedelta("1h")


@dataclass
class Source:
    """A source of pages that misbehaves as it is told to."""

    bars: pd.DataFrame
    page_bars: int = 50
    short_by: int = 0  # rows fewer than asked
    repeats: bool = False  # the row before the first
    is_backwards: bool = False
    failures: int = 0  # before each answer
    ignores_since: bool = False  # the oldest, whatever was asked
    hides: set[int] = field(default_factory=set)  # rows left out of the first answer with them
    clock: pd.Timestamp | None = None
    asked: list[pd.Timestamp] = field(default_factory=list)
    _failed: int = 0

    name = "a source"

    def now(self) -> pd.Timestamp:
        return self.clock or self.bars["timestamp"].iloc[-1] + HOUR

    def page(self, since: pd.Timestamp) -> pd.DataFrame:
        if self._failed < self.failures:
            self._failed += 1
            raise TransientError("503")
        self._failed = 0
        self.asked.append(since)
        if self.ignores_since:
            return self.bars.iloc[: self.page_bars]
        at = int((self.bars["timestamp"] < since).sum())
        page = self.bars.iloc[max(at - self.repeats, 0) : at + self.page_bars - self.short_by]
        hidden = self.hides & set(page.index)
        self.hides -= hidden
        page = page.drop(index=sorted(hidden))
        return page.iloc[::-1] if self.is_backwards else page


def fetched(source: Source, since: pd.Timestamp = START, **settings: object) -> pd.DataFrame:
    found = fetch_since(source, since, NS_PER_HOUR, patience=wait_none(), **settings)  # type: ignore[arg-type]
    assert found.is_complete
    return found.bars


@settings(max_examples=60, deadline=None)
@given(
    page=st.integers(3, 500), short=st.integers(0, 1), repeats=st.booleans(),
    backwards=st.booleans(), failures=st.integers(0, ATTEMPTS - 1),
    hides=st.sets(st.integers(1, 398), max_size=5), first=st.integers(0, 399),
)  # fmt: skip
def test_whatever_a_source_does_each_closed_bar_comes_once(
    page: int,
    short: int,
    repeats: bool,
    backwards: bool,
    failures: int,
    hides: set[int],
    first: int,
) -> None:
    source = Source(
        BARS, page, short, repeats, backwards, failures, hides={h for h in hides if h > first}
    )
    found = fetched(source, BARS["timestamp"].iloc[first])
    pd.testing.assert_frame_equal(found, BARS.iloc[first:].reset_index(drop=True))


def test_the_open_bar_is_never_taken() -> None:
    source = Source(BARS, clock=BARS["timestamp"].iloc[-1] + pd.Timedelta("59min"))
    assert fetched(source)["timestamp"].iloc[-1] == BARS["timestamp"].iloc[-2]


def test_an_outage_is_asked_for_twice_and_told(caplog: pytest.LogCaptureFixture) -> None:
    source = Source(BARS.drop(index=range(100, 220)).reset_index(drop=True))
    found = fetch_since(source, START, NS_PER_HOUR, patience=wait_none())
    assert len(found.bars) == 280
    first = START + 100 * HOUR
    assert source.asked.count(first) == 2
    assert f"leaves bars out at 1 places, the first from {first}" in caplog.text


def test_a_market_that_is_closed_is_no_hole() -> None:
    week = BARS[BARS["timestamp"].dt.day_of_week < 5].reset_index(drop=True)
    source = Source(week)
    assert len(fetched(source, hours=SessionConfig(calendar="24/5"))) == len(week)
    pages = -(-len(week) // 50)
    assert len(source.asked) <= pages + 2 * (-(-400 // 168))  # none is asked for the weekends


def test_the_newest_instead_of_the_next_is_filled_up_afterwards() -> None:
    """A page that came out of place in mid-download costs no bar."""
    source, pages = Source(BARS), [0]
    right = source.page

    def page(since: pd.Timestamp) -> pd.DataFrame:
        pages[0] += 1
        return BARS.iloc[-50:] if pages[0] == 3 else right(since)

    source.page = page
    pd.testing.assert_frame_equal(fetched(source), BARS)


def test_the_oldest_instead_of_the_newest_is_an_error_and_no_endless_loop() -> None:
    source = Source(BARS, ignores_since=True)
    with pytest.raises(
        TollgateError, match="failed 7 times: bars up to 2015-01-03 01:00 in answer"
    ):
        fetched(source, START + 200 * HOUR)


def test_a_source_that_goes_on_failing_is_one_error() -> None:
    with pytest.raises(TollgateError, match="a source must answer, failed 7 times: 503"):
        fetched(Source(BARS, failures=ATTEMPTS))


def test_a_long_download_stops_at_the_limit_and_goes_on() -> None:
    source = Source(BARS)
    first = fetch_since(source, START, NS_PER_HOUR, most_bars=150, patience=wait_none())
    assert (len(first.bars), first.is_complete) == (150, False)
    rest = fetched(source, first.bars["timestamp"].iloc[-1] + HOUR)
    both = pd.concat([first.bars, rest], ignore_index=True)
    pd.testing.assert_frame_equal(both, BARS)


CONFIG = BarsConfig(
    download=DownloadConfig(provider="ccxt", exchange="kraken", since=date(2015, 1, 1)), symbol="X"
)


def test_an_update_asks_for_what_is_new_and_sees_a_correction() -> None:
    source = Source(BARS.iloc[:300])
    before, _ = download(CONFIG, None, source)
    source.bars, source.asked = BARS.copy(), []
    source.bars.loc[298, "volume"] = 12.5
    after, is_complete = download(CONFIG, before.frame, source)
    assert is_complete
    assert source.asked[0] == BARS["timestamp"].iloc[295]  # five bars again
    pd.testing.assert_frame_equal(after.frame, source.bars)


@pytest.mark.parametrize("ratio", [0.5, 0.1, 3.0])
def test_history_is_rescaled_with_a_source_that_did_so_after_a_split(ratio: float) -> None:
    """Also where the source holds only its newest bars."""
    source = Source(BARS.iloc[:300])
    before, _ = download(CONFIG, None, source)
    prices = ["open", "high", "low", "close"]
    rescaled = BARS.assign(**{name: BARS[name] * ratio for name in prices})
    source.bars = rescaled.iloc[250:]
    after, is_complete = download(CONFIG, before.frame, source)
    assert is_complete
    pd.testing.assert_frame_equal(after.frame, rescaled)
    source.bars = rescaled
    assert rebased(before.frame, source.bars) == pytest.approx(ratio)
    assert rebased(before.frame, BARS) is None


def test_nothing_new_is_what_was_there() -> None:
    source = Source(BARS)
    before, _ = download(CONFIG, None, source)
    again, _ = download(CONFIG, before.frame, source)
    pd.testing.assert_frame_equal(again.frame, before.frame)


def test_volume_that_is_not_reported_is_unknown_and_one_quiet_page_is_not() -> None:
    quiet = BARS.assign(volume=0.0)
    found, _ = download(CONFIG, None, Source(quiet))
    assert found.frame["volume"].isna().all()
    first, _ = download(CONFIG, None, Source(quiet.iloc[:10]))
    mixed = BARS.assign(volume=BARS["volume"].where(BARS.index >= 10, 0.0))
    grown, _ = download(CONFIG, first.frame, Source(mixed))  # some volume came at last
    pd.testing.assert_frame_equal(grown.frame, download(CONFIG, None, Source(mixed))[0].frame)
    before, _ = download(CONFIG, None, Source(BARS.iloc[:300]))
    later = BARS.copy()
    later.loc[295:, "volume"] = 0.0
    after, _ = download(CONFIG, before.frame, Source(later))
    assert (after.frame["volume"].iloc[300:] == 0).all()


def test_a_source_without_bars_is_one_error() -> None:
    source = Source(BARS.iloc[:0], clock=START + 100 * HOUR)
    with pytest.raises(TollgateError, match="a source must have bars of X since 2015-01-01"):
        download(CONFIG, None, source)
