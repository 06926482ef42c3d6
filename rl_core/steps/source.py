"""The source of a desk's bars: a file, or a simulated market, with its quality report."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from rl_core.desk import PROJECT_ROOT
from rl_core.kinds.portfolio.settings import PortfolioDesk
from rl_core.kinds.settings import DeskConfig, SeriesDesk
from rl_core.lab.markets.futures import simulate_future
from rl_core.lab.markets.spot import simulate_walk
from rl_core.market.panel_quality import assess_panel
from rl_core.market.panel_readers import read_panel
from rl_core.market.quality import QualityReport
from rl_core.market.readers import RawBars, assess_source, checked_bars, read_raw_bars
from rl_core.market.settings import BarsConfig


@dataclass(frozen=True)
class Source:
    """A desk's source as it lies there."""

    report: QualityReport  # what is odd about it, by line or row of the file
    checked: Callable[[], pd.DataFrame]  # held to the contract; raises TollgateError


def read_source(desk: DeskConfig) -> Source:
    """Read the source of a desk's bars and report on its quality.

    Raises:
        TollgateError: the source cannot be read.
    """
    match desk:
        case PortfolioDesk():
            panel = read_panel(desk.bars, PROJECT_ROOT)
            return Source(assess_panel(panel, desk.bars, desk.quality), panel.panel.to_frame)
        case SeriesDesk():
            return _series_source(desk)
        case _:
            raise TypeError(f"desk must be of a known kind, was {type(desk).__name__}")


def _series_source(desk: SeriesDesk) -> Source:
    config = desk.bars
    raw = _simulated(config) if config.is_simulated else read_raw_bars(config, PROJECT_ROOT)
    return Source(assess_source(raw, config, desk.quality), lambda: checked_bars(raw, config))


def _simulated(config: BarsConfig) -> RawBars:
    if config.random_walk is not None:
        bars = simulate_walk(config.random_walk, config.interval)
    elif config.simulated is not None and config.sessions is not None:
        bars = simulate_future(config.simulated, config.sessions)
    else:
        raise TypeError("bars without a path must be simulated, futures with sessions")
    return RawBars(bars, np.arange(len(bars)), was_newest_first=False)
