"""All bars since a time from a source that hands out pages, whatever it does with them.

Sources give fewer rows than asked, repeat the last one, start late, leave rows out, answer with the
oldest or newest bars whatever was asked, and hand out the bar that is still open. Here each bar is
taken once, when it has closed, and a hole is asked for again before it is believed.
Shapes: B bars.
"""

import logging
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import pandas as pd
from tenacity import RetryCallState, Retrying, retry_if_exception_type, stop_after_attempt
from tenacity.wait import wait_base, wait_random_exponential

from rl_core.base.errors import TollgateError
from rl_core.market.bars import nanoseconds
from rl_core.market.sessions import trading_hours
from rl_core.market.settings import COLUMNS, PRICE_COLUMNS, SessionConfig

ATTEMPTS = 7
MOST_BARS = 50_000  # of one call; what came is kept before more is asked for
PATIENCE: wait_base = wait_random_exponential(multiplier=1, max=60)  # seconds between them

log = logging.getLogger(__name__)


class TransientError(Exception):
    """What a source may answer differently the next time: too many requests, a cut answer."""


class Provider(Protocol):
    """A source of bars that hands out pages."""

    @property
    def name(self) -> str:
        """What people call the source in messages."""
        ...

    @property
    def page_bars(self) -> int:
        """How many bars a page holds at most."""
        ...

    def now(self) -> pd.Timestamp:
        """What time it is for the source, UTC."""
        ...

    def page(self, since: pd.Timestamp) -> pd.DataFrame:
        """Bars from about a time on: the bar contract's columns, in any order.

        Raises:
            TransientError: asking again may help.
            TollgateError: asking again would not help.
        """
        ...


@dataclass(frozen=True)
class Fetched:
    """The bars that a source handed out."""

    bars: pd.DataFrame  # (B,) in order of time, each once, all closed
    is_complete: bool  # False: there is more, and the limit was reached


def fetch_since(
    provider: Provider,
    since: pd.Timestamp,
    interval_ns: int,
    hours: SessionConfig | None = None,
    most_bars: int | None = None,
    patience: wait_base | None = None,
) -> Fetched:
    """Every closed bar from a time on, up to a number of bars.

    Args:
        provider: the source.
        since: opening time of the first bar to ask for, UTC.
        interval_ns: a bar's length.
        hours: when the market is open; always, without.
        most_bars: after which to stop, MOST_BARS if None; the rest is for the next call.
        patience: how long to wait between attempts.

    Raises:
        TollgateError: the source goes on failing, or answers with other bars than were asked for.
    """
    ask = _Asking(provider, pd.Timedelta(interval_ns, "ns"), patience or PATIENCE)
    found = ask.forward(since, MOST_BARS if most_bars is None else most_bars)
    bars = found.bars
    asked: set[pd.Timestamp] = set()
    while holes := [hole for hole in _holes(bars, hours, interval_ns) if hole not in asked]:
        end = since
        for hole in holes:
            asked.add(hole)
            if hole >= end:  # a page may fill several, or only the beginning of one
                page = ask.page(hole)
                end = hole if page.empty else page["timestamp"].iloc[-1]
                bars = _merged(bars, page[page["timestamp"] <= bars["timestamp"].iloc[-1]])
    # told and not sealed: the same bars may come in one piece or in many
    if holes := _holes(bars, hours, interval_ns):
        said = "%s leaves bars out at %d places, the first from %s; asked for twice"
        log.warning(said, provider.name, len(holes), holes[0])
    if len(bars) and bars["timestamp"].iloc[0] > since:
        log.warning("%s has no bars before %s", provider.name, bars["timestamp"].iloc[0])
    end = provider.now() - ask.step * (provider.page_bars + 1)
    if found.is_complete and len(bars) and bars["timestamp"].iloc[-1] < end:
        log.warning("%s has no bars after %s", provider.name, bars["timestamp"].iloc[-1])
    return Fetched(bars, found.is_complete)


@dataclass(frozen=True)
class _Asking:
    provider: Provider
    step: pd.Timedelta
    patience: wait_base

    def page(self, since: pd.Timestamp) -> pd.DataFrame:
        """Closed bars of a page from a time on, in order, each once; asked for until it answers."""
        try:
            for attempt in Retrying(
                stop=stop_after_attempt(ATTEMPTS),
                wait=self.patience,
                retry=retry_if_exception_type(TransientError),
                before_sleep=self._tell,
                reraise=True,
            ):
                with attempt:
                    return self._once(since)
        except TransientError as error:
            raise TollgateError(
                f"{self.provider.name} must answer, failed {ATTEMPTS} times: {error}. Updates "
                "before are kept: run it again"
            ) from None
        raise AssertionError("unreachable: Retrying returns or raises")

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        pause = state.next_action.sleep if state.next_action else 0.0
        log.warning("%s: %s; asking again in %.0f s", self.provider.name, error, pause)

    def _once(self, since: pd.Timestamp) -> pd.DataFrame:
        given = self.provider.page(since)
        closed = given["timestamp"] + self.step <= self.provider.now()
        rows = given[closed].drop_duplicates("timestamp", keep="last").sort_values("timestamp")
        wanted = rows[rows["timestamp"] >= since]
        prices = wanted[list(PRICE_COLUMNS)].to_numpy(float)
        if not (np.isfinite(prices) & (prices > 0)).all():
            raise TransientError("a bar without a price in an answer")
        if len(rows) and wanted.empty and rows["timestamp"].iloc[-1] + self.step < since:
            raise TransientError(
                f"bars up to {rows['timestamp'].iloc[-1]:%Y-%m-%d %H:%M} in answer to a question "
                f"for those from {since:%Y-%m-%d %H:%M}"
            )
        return wanted[list(COLUMNS)].reset_index(drop=True)

    def forward(self, since: pd.Timestamp, most_bars: int) -> Fetched:
        """Page after page, until the newest closed bar or the limit."""
        pages: list[pd.DataFrame] = []
        count, cursor = 0, since
        while (left := (self.provider.now() - cursor) // self.step) > 0:  # closed bars
            if count >= most_bars:
                return Fetched(_joined(pages), is_complete=False)
            page = self.page(cursor)
            if page.empty:  # a closed market, an outage, or not listed: if it says so twice
                page = self.page(cursor)
            if page.empty:
                cursor += self.step * min(self.provider.page_bars, left)
                continue
            pages.append(page)
            count += len(page)
            cursor = page["timestamp"].iloc[-1] + self.step
            log.info("%s: %s bars, up to %s", self.provider.name, f"{count:,}", cursor - self.step)
        return Fetched(_joined(pages), is_complete=True)


def _joined(pages: list[pd.DataFrame]) -> pd.DataFrame:
    if not pages:
        empty = {name: pd.Series(dtype="float64") for name in COLUMNS}
        return pd.DataFrame(empty | {"timestamp": pd.Series(dtype="datetime64[ns, UTC]")})
    return pd.concat(pages, ignore_index=True)


def _merged(bars: pd.DataFrame, more: pd.DataFrame) -> pd.DataFrame:
    if more.empty:
        return bars
    both = pd.concat([bars, more]).drop_duplicates("timestamp", keep="first")
    return both.sort_values("timestamp").reset_index(drop=True)


def _holes(
    bars: pd.DataFrame, config: SessionConfig | None, interval_ns: int
) -> list[pd.Timestamp]:
    """When the first bar of each stretch without bars should have opened, while it was open."""
    if len(bars) < 2:
        return []
    ns = nanoseconds(bars["timestamp"])
    hours = trading_hours(config, ns, interval_ns)
    places = hours.position(ns)
    first = places[:-1][np.diff(places) > 1] + 1
    return list(pd.to_datetime(hours.time(first), utc=True))
