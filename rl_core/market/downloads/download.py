"""The bars of a download: what is there already, and what has closed since. Shapes: B bars."""

import logging

import numpy as np
import pandas as pd

from rl_core.base.errors import TollgateError
from rl_core.market.downloads.paging import Provider, fetch_since
from rl_core.market.downloads.providers import provider_of
from rl_core.market.growth import joined
from rl_core.market.readers import RawBars, as_read
from rl_core.market.settings import PRICE_COLUMNS, BarsConfig

REBASED = 0.005  # by which all overlapping prices differ alike, where a source was split-adjusted

log = logging.getLogger(__name__)


def download(
    config: BarsConfig, before: pd.DataFrame | None, provider: Provider | None = None
) -> tuple[RawBars, bool]:
    """Bars of before and those that have closed since, and whether none is left to be had.

    Where the source has rescaled its whole history, as after a split, bars of before are rescaled
    alike: it may not hold them any more.

    Args:
        config: the desk's bars.
        before: (B,) those of the last update; None if there was none.
        provider: the source, by the desk's settings unless given.

    Raises:
        TollgateError: the source does not answer, or has no bars.
    """
    if config.download is None:
        raise TypeError("a desk without a download downloads nothing")
    source = provider or provider_of(config)
    step = pd.Timedelta(config.interval_ns, "ns")
    since = pd.Timestamp(config.download.since, tz="UTC")
    if before is not None:
        since = max(since, before["timestamp"].iloc[-1] - step * (config.download.overlap_bars - 1))
    found = fetch_since(source, since, config.interval_ns, config.hours)
    fresh = scaled(found.bars, config.price_scale)
    if before is None and fresh.empty:
        raise TollgateError(
            f"{source.name} must have bars of {config.download.market or config.symbol} since "
            f"{config.download.since}, had none"
        )
    if config.volume == "none" or (config.volume is None and not (fresh["volume"] > 0).any()):
        fresh = fresh.assign(volume=np.nan)  # `joined` knows better if the market reports some
    if before is None:
        return as_read(fresh), found.is_complete
    if (ratio := rebased(before, fresh)) is not None:
        said = "%s multiplied all prices by %.6g, and so are those of before"
        log.warning(said, source.name, ratio)
        before = scaled(before, ratio)
    return as_read(joined(before, fresh)), found.is_complete


def scaled(bars: pd.DataFrame, factor: float) -> pd.DataFrame:
    """Bars with all their prices multiplied by a factor."""
    if factor == 1:
        return bars
    return bars.assign(**{name: bars[name] * factor for name in PRICE_COLUMNS})


def rebased(before: pd.DataFrame, fresh: pd.DataFrame) -> float | None:
    """By what factor a source has rescaled the bars that overlap; None if it has not.

    Args:
        before: (B,) bars of the last update.
        fresh: (B',) what the source says now.
    """
    both = before.merge(fresh, on="timestamp", suffixes=("_before", ""))
    if both.empty:
        return None
    ratios = (both["close"] / both["close_before"]).to_numpy()
    middle = float(np.median(ratios))
    alike = np.abs(ratios / middle - 1).max() < REBASED / 5
    return middle if alike and abs(middle - 1) > REBASED else None
