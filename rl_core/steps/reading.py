"""What several steps read from sealed artefacts."""

from typing import Any

import pandas as pd

from rl_core.base.errors import validated
from rl_core.features.prepare import PreparedMarket
from rl_core.features.regimes import RegimeThresholds
from rl_core.features.sentiment import known_times
from rl_core.steps.bars import SENTIMENT, BarsFacts
from rl_core.steps.context import DeskContext, Opened
from rl_core.steps.latest_bars import TABLE

THRESHOLDS, DATASET = "thresholds.json", "dataset.parquet"


def read_bars(bars: Opened[BarsFacts]) -> pd.DataFrame:
    """The sealed bars as a frame."""
    return bars.read_frame(TABLE)


def read_sentiment(
    bars: Opened[BarsFacts], known_before: pd.Timestamp | None = None
) -> pd.DataFrame | None:
    """The sentiment that was sealed with the bars; None if the desk has no source of it.

    Args:
        bars: the artefact.
        known_before: leave out what was not known by then.
    """
    if not bars.artifact.has(SENTIMENT):
        return None
    rows = bars.read_frame(SENTIMENT)
    return rows if known_before is None else rows[known_times(rows) < known_before]


def read_thresholds(opened: Opened[Any]) -> RegimeThresholds:
    """The regime thresholds, fitted on the training span, that an artefact carries."""
    where = f"{THRESHOLDS} of {opened.seal.name}"
    return validated(RegimeThresholds, opened.read_json(THRESHOLDS), where)


def read_market(
    context: DeskContext, bars: Opened[BarsFacts], thresholds: RegimeThresholds | None
) -> PreparedMarket:
    """The sealed bars, prepared; without thresholds they are fitted on the training span."""
    return context.kind.prepare(read_bars(bars), read_sentiment(bars), thresholds)


def read_dataset(opened: Opened[Any]) -> pd.DataFrame:
    """The table of `offline_dataset` or `regime_dataset`."""
    return opened.read_frame(DATASET)
