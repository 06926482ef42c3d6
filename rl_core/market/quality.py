"""The quality report of a table of bars, and the data-health index that the state carries.

Everything here looks backwards only: a bar's health depends on that bar and those before it.
Shapes: B bars.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rl_core.market.bars import nanoseconds, ohlc_contradictions


class QualityConfig(BaseModel):
    """What counts as suspicious."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stale_bars: int = Field(default=3, ge=2, description="bars in a row with one unchanged OHLC")
    jump_return: float = Field(
        default=0.10, gt=0, description="|close / close - 1| from bar to bar"
    )
    health_window_bars: int = Field(default=24, ge=1)
    max_missing_share: float = Field(default=0.02, ge=0, le=1)
    min_mean_health: float = Field(default=0.95, ge=0, le=1)


class Gap(BaseModel):
    """A run of missing bars."""

    model_config = ConfigDict(frozen=True)

    start: str  # timestamp of the first missing bar
    bars: int


class QualityReport(BaseModel):
    """Defects and oddities of a table of bars; rows are lines of a CSV, else counted from 0."""

    model_config = ConfigDict(frozen=True)

    rows: int
    start: str
    end: str
    was_newest_first: bool
    gaps: list[Gap]
    missing_bars: int
    off_grid_rows: list[int]
    duplicate_rows: list[int]
    unsorted_rows: list[int]
    ohlc_contradiction_rows: list[int]
    zero_volume_rows: list[int]
    stale_rows: list[int]
    jump_rows: list[int]
    mean_health: float  # 0..1


def assess_quality(
    bars: pd.DataFrame,
    interval_ns: int,
    config: QualityConfig,
    *,
    row_numbers: NDArray[np.int64] | None = None,
    was_newest_first: bool = False,
) -> QualityReport:
    """Look at bars that may still break the contract and count what is odd about them.

    Whatever needs the order of time (gaps, stale and jumping bars, health) is looked at in the
    order of time, wherever the rows stand.

    Args:
        bars: (B,) as they stand in the file.
        interval_ns: a bar's length.
        config: what counts as suspicious.
        row_numbers: (B,) where each bar stands in its file; from 0 when left out.
        was_newest_first: whether the file was turned round.
    """
    in_file = np.arange(len(bars)) if row_numbers is None else row_numbers
    file_ns = nanoseconds(bars["timestamp"])
    order = np.argsort(file_ns, kind="stable")
    ns, ordered, rows = file_ns[order], bars.iloc[order], in_file[order]
    missing = _missing_before(ns, interval_ns)
    ohlc = np.unique(np.concatenate(list(ohlc_contradictions(ordered).values())))
    return QualityReport(
        rows=len(bars),
        start=str(ordered["timestamp"].iloc[0]),
        end=str(ordered["timestamp"].iloc[-1]),
        was_newest_first=was_newest_first,
        gaps=[
            Gap(start=str(pd.Timestamp(ns[i - 1] + interval_ns, tz="UTC")), bars=int(missing[i]))
            for i in np.flatnonzero(missing)
        ],
        missing_bars=int(missing.sum()),
        off_grid_rows=rows[ns % interval_ns != ns[0] % interval_ns].tolist(),
        duplicate_rows=rows[np.concatenate([[False], np.diff(ns) == 0])].tolist(),
        unsorted_rows=in_file[np.concatenate([[False], np.diff(file_ns) < 0])].tolist(),
        ohlc_contradiction_rows=rows[ohlc].tolist(),
        zero_volume_rows=rows[ordered["volume"].to_numpy() == 0].tolist(),
        stale_rows=rows[_stale(ordered, config.stale_bars)].tolist(),
        jump_rows=rows[_jumps(ordered, config.jump_return)].tolist(),
        mean_health=float(data_health(ordered, interval_ns, config).mean()),
    )


def data_health(bars: pd.DataFrame, interval_ns: int, config: QualityConfig) -> NDArray[np.float64]:
    """Share of sound bars among those expected in the trailing window, (B,) in [0, 1].

    A missing, stale, zero-volume or jumping bar is not sound. The window is counted in time, so
    a bar after a long gap has the health of the gap.
    """
    ns = nanoseconds(bars["timestamp"])
    unsound = (
        (bars["volume"].to_numpy() == 0)
        | _stale(bars, config.stale_bars)
        | _jumps(bars, config.jump_return)
    )
    sound_so_far = np.concatenate([[0], np.cumsum(~unsound)])
    window = config.health_window_bars
    first = np.searchsorted(ns, ns - (window - 1) * interval_ns)
    # before the window is full only the bars since the table's start are expected
    expected = np.minimum((ns - ns[0]) // interval_ns + 1, window)
    sound = sound_so_far[np.arange(len(ns)) + 1] - sound_so_far[first]
    return np.clip(sound / np.maximum(expected, 1), 0.0, 1.0)


def _missing_before(ns: NDArray[np.int64], interval_ns: int) -> NDArray[np.int64]:
    """Number of bars missing just before each bar, (B,)."""
    return np.concatenate([[0], np.maximum(np.diff(ns) // interval_ns - 1, 0)])


def _stale(bars: pd.DataFrame, run_length: int) -> NDArray[np.bool_]:
    """True from the `run_length`-th bar on of a run whose OHLC never moves."""
    prices = bars[["open", "high", "low", "close"]].to_numpy()
    same = np.concatenate([[False], (prices[1:] == prices[:-1]).all(axis=1)])
    positions = np.arange(len(same))
    last_change = np.maximum.accumulate(np.where(same, 0, positions))
    return positions - last_change + 1 >= run_length


def _jumps(bars: pd.DataFrame, limit: float) -> NDArray[np.bool_]:
    close = bars["close"].to_numpy()
    return np.concatenate([[False], np.abs(close[1:] / close[:-1] - 1) > limit])
