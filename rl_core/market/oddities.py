"""What is odd about bars that meet the contract: single bad prints, splits, units that change.

Each looks at a whole table, before and after a bar, in order of time: these judge a source and are
never seen by a policy. Shapes: B bars.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.units import NS_PER_DAY
from rl_core.market.settings import PRICE_COLUMNS, QualityConfig

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

USUAL_BARS = 101  # around a bar, whose median move is the usual one
SD_OF_MEDIAN = 1.4826  # of a normal's absolute deviation
REVERTED = 0.25  # of a move that may be left when it was a bad print
SPLITS = (1.5, 2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 50)  # new shares for old
# log of the price before over that after, of splits and, from 2 on, of reverse splits
_SPLIT_LOGS = np.sort(np.log([*SPLITS, *(1 / ratio for ratio in SPLITS if ratio >= 2)]))
SPLIT_TOLERANCE = 0.04  # |log| around a split's ratio
VOLUME_STEP = 3.0  # powers of ten by which no market's volume changes for good from bar to bar
VOLUME_BARS = 200  # before and after


def usual_moves(bars: pd.DataFrame) -> Array:
    """Robust sd of one-bar log returns around each bar, (B,); > 0."""
    moves = np.abs(np.diff(np.log(bars["close"].to_numpy()), prepend=np.nan))
    rolling = pd.Series(moves).rolling(USUAL_BARS, center=True, min_periods=1)
    usual = SD_OF_MEDIAN * rolling.median().to_numpy()
    # where most bars do not move at all, a move of a tick or two is usual
    moved = moves[moves > 0]
    smallest = SD_OF_MEDIAN * float(np.median(moved)) if len(moved) else 0.0
    return np.maximum(np.nan_to_num(usual), max(0.25 * smallest, 1e-9))


def bad_prints(bars: pd.DataFrame, config: QualityConfig) -> Flags:
    """Bars with a price that jumps away, by many usual moves, and is back at once, (B,).

    A close that the next bar takes back, an open that its own bar takes back, or a high or low far
    beyond open and close.
    """
    open_, high, low, close = (np.log(bars[name].to_numpy()) for name in PRICE_COLUMNS)
    limit = config.bad_print_moves * usual_moves(bars)
    before = np.concatenate([close[:1], close[:-1]])
    after = np.concatenate([close[1:], close[-1:]])
    jump, back = close - before, after - close
    bad_close = (np.abs(jump) > limit) & (np.abs(jump + back) < REVERTED * np.abs(jump))
    gap, inside = open_ - before, close - open_
    bad_open = (np.abs(gap) > limit) & (np.abs(gap + inside) < REVERTED * np.abs(gap))
    wick = np.maximum(high - np.maximum(open_, close), np.minimum(open_, close) - low)
    return bad_close | bad_open | (wick > limit)


def split_suspects(bars: pd.DataFrame, known_days: NDArray[np.int64]) -> Flags:
    """First bars at another price, in the ratio of a split, from which the price goes on, (B,).

    Args:
        bars: in order of time.
        known_days: midnight, UTC, of days whose move is real, ns.
    """
    open_, close = (np.log(bars[name].to_numpy()) for name in ("open", "close"))
    gap = np.concatenate([[0.0], open_[1:] - close[:-1]])
    stays = np.abs(np.concatenate([[0.0], close[1:] - close[:-1]]) - gap) < REVERTED * np.abs(gap)
    # a price that was already there two bars ago only comes back from a bad print
    earlier = np.concatenate([close[:1], close[:1], close[:-2]])
    stays[2:] &= np.abs(close - earlier - gap)[2:] < 2 * REVERTED * np.abs(gap)[2:]
    is_split = distance_to_split(gap) < SPLIT_TOLERANCE
    day = bars["timestamp"].astype("int64").to_numpy() // NS_PER_DAY * NS_PER_DAY
    return is_split & stays & ~np.isin(day, known_days)


def distance_to_split(growth: Array) -> Array:
    """How far log growths of prices are from what the nearest split does to a price; NaN as is."""
    middles = (_SPLIT_LOGS[1:] + _SPLIT_LOGS[:-1]) / 2
    return np.abs(-growth - _SPLIT_LOGS[np.searchsorted(middles, -growth)])


def volume_unit_changes(bars: pd.DataFrame) -> Flags:
    """Bars whose volume is in another unit than most others', as it shows by its level, (B,)."""
    volume = bars["volume"].to_numpy()
    traded = np.flatnonzero(volume > 0)
    found = np.zeros(len(bars), dtype=bool)
    window = min(VOLUME_BARS, len(traded) // 4)
    if window < 20:
        return found
    level = pd.Series(np.log10(volume[traded])).rolling(window).median().to_numpy()
    after, before = level[window:], level[:-window]  # of the bars from here on, and up to here
    step = after[window - 1 :] - before[window - 1 :]
    place = np.arange(window, window + len(step))  # first bar of `after`
    large = np.abs(step) > VOLUME_STEP
    if not large.any():
        return found
    unit = np.zeros(len(traded))
    steep = np.flatnonzero(large)
    for run in np.split(steep, np.flatnonzero(np.diff(steep) > 1) + 1):
        top = run[np.abs(step[run]).argmax()]
        unit[place[top] :] += np.sign(step[top])
    values, counts = np.unique(unit, return_counts=True)
    found[traded[unit != values[counts.argmax()]]] = True
    return found


def off_grid(ns: NDArray[np.int64], interval_ns: int, timezone: str) -> Flags:
    """Bars that do not open a whole number of intervals from where most do, (B,).

    The grid is one of local time, in which a day has its clock changes.
    """
    local = pd.DatetimeIndex(ns, tz="UTC").tz_convert(timezone).tz_localize(None)
    phase = local.as_unit("ns").asi8 % interval_ns
    phases, counts = np.unique(phase, return_counts=True)
    return phase != phases[counts.argmax()]
