"""The source of a desk's bars: a file, or a simulated market, with its quality report."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

from rl_core.desk import PROJECT_ROOT
from rl_core.kinds.portfolio.settings import PortfolioDesk
from rl_core.kinds.settings import DeskConfig, SeriesDesk
from rl_core.lab.markets.futures import simulate_future
from rl_core.lab.markets.spot import simulate_walk
from rl_core.market.bars import nanoseconds
from rl_core.market.downloads.download import download
from rl_core.market.growth import joined
from rl_core.market.panel_quality import assess_panel
from rl_core.market.panel_readers import read_panel
from rl_core.market.quality import QualityReport
from rl_core.market.readers import (
    RawBars,
    as_read,
    assess_source,
    checked_bars,
    read_raw_bars,
)
from rl_core.market.repairs import without_impossible, without_oddities
from rl_core.market.sessions import trading_hours
from rl_core.market.settings import BarsConfig

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Source:
    """A desk's source as it lies there."""

    report: QualityReport  # what is odd about it, by line or row of the file
    checked: Callable[[], pd.DataFrame]  # held to the contract; raises TollgateError
    is_complete: bool = True  # False: there is more to be had


def read_source(desk: DeskConfig, before: pd.DataFrame | None = None) -> Source:
    """Read the source of a desk's bars and report on its quality.

    Args:
        desk: whose source.
        before: bars of the last update, where the desk keeps them.

    Raises:
        TollgateError: the source cannot be read.
    """
    match desk:
        case PortfolioDesk():
            panel = read_panel(desk.bars, PROJECT_ROOT)
            return Source(assess_panel(panel, desk.bars, desk.quality), panel.panel.to_frame)
        case SeriesDesk():
            return _series_source(desk, before)
        case _:
            raise TypeError(f"desk must be of a known kind, was {type(desk).__name__}")


def _series_source(desk: SeriesDesk, before: pd.DataFrame | None) -> Source:
    config, is_complete = desk.bars, True
    if config.download is not None:
        raw, is_complete = download(config, before)
    else:
        repairs = "contract" in desk.quality.repair
        raw = (
            _simulated(config)
            if config.is_simulated
            else read_raw_bars(config, PROJECT_ROOT, keeps_impossible=repairs)
        )
        raw = without_impossible(raw, desk.quality)
        if config.grows:
            for note in raw.notes:
                log.info("bars: %s", note)
            bars = checked_bars(raw, config)
            if before is not None and (lost := bars_between(before, bars, config)) > 0:
                log.warning(
                    "the source begins %d bars after the last that is kept, %s: they are missing",
                    lost, before["timestamp"].iloc[-1],
                )  # fmt: skip
            # rows and notes of a file would differ from update to update, and the bars would not
            raw = as_read(bars if before is None else joined(before, bars))
    raw = without_oddities(raw, config, desk.quality)
    return Source(
        assess_source(raw, config, desk.quality), lambda: checked_bars(raw, config), is_complete
    )


def bars_between(before: pd.DataFrame, fresh: pd.DataFrame, config: BarsConfig) -> int:
    """How many bars are missing where a source goes on, by the market's hours; 0 if it overlaps."""
    ends = pd.concat([before["timestamp"].tail(1), fresh["timestamp"].head(1)])
    ns = nanoseconds(ends)
    if ns[1] <= ns[0]:
        return 0
    last, first = trading_hours(config.hours, ns, config.interval_ns).position(ns)
    return int(first - last) - 1


def _simulated(config: BarsConfig) -> RawBars:
    if config.random_walk is not None:
        return as_read(simulate_walk(config.random_walk, config.interval))
    if config.simulated is not None and config.sessions is not None:
        return as_read(simulate_future(config.simulated, config.sessions))
    raise TypeError("bars without a path must be simulated, futures with sessions")
