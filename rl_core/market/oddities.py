"""What is odd about bars that meet the contract: single bad prints, splits, units that change.

Each looks at a whole table, before and after a bar, in order of time: these judge a source and are
never seen by a policy. Shapes: B bars.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.ndimage import maximum_filter1d, minimum_filter1d

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
SMALLEST_SPLIT = 1.4  # by which a price falls or rises at least
VOLUME_STEP = 3.0  # powers of ten by which no market's volume changes for good from bar to bar
VOLUME_BARS = 200  # before and after
MOST_AT_ONCE = 50_000  # bars whose surroundings are laid out in memory


def usual_moves(moves: Array, at: NDArray[np.int64]) -> Array:
    """Robust sd of one-bar log returns around some bars, (N,).

    Args:
        moves: (B,) absolute log returns; the first is unknown.
        at: (N,) positions of the bars.
    """
    half = USUAL_BARS // 2
    padded = np.pad(moves, half, constant_values=np.nan)
    around = np.lib.stride_tricks.sliding_window_view(padded, USUAL_BARS)
    return SD_OF_MEDIAN * np.nanmedian(around[at], axis=1)


def smallest_usual_move(moves: Array) -> float:
    """What is usual at least: where most bars do not move at all, a move of a tick or two; > 0."""
    moved = moves[moves > 0]
    middle = SD_OF_MEDIAN * float(np.median(moved)) if len(moved) else 0.0
    return max(0.25 * middle, 1e-9)


def bad_prints(bars: pd.DataFrame, config: QualityConfig) -> Flags:
    """Bars with a price that jumps away, by many usual moves, and is back at once, (B,).

    A close that the next bar takes back, an open that its own bar takes back, or a high or low far
    beyond open and close.
    """
    opens, highs, lows, closes = (bars[name].to_numpy() for name in PRICE_COLUMNS)
    moves = np.abs(np.diff(np.log(closes), prepend=np.nan))
    least = smallest_usual_move(moves)
    # no price went further than its bar reached and its close and open moved: few are worth a look
    opened = np.concatenate([[1.0], opens[1:] / closes[:-1]])
    far = np.exp(min(config.bad_print_moves * least, np.log(np.finfo(np.float64).max)))
    is_far = (highs > lows * far) | (opened > far) | (opened * far < 1)
    at = np.flatnonzero(is_far | (np.nan_to_num(moves) > config.bad_print_moves * least))
    open_, high, low, close = (np.log(each[at]) for each in (opens, highs, lows, closes))
    before = np.log(closes[np.maximum(at - 1, 0)])
    after = np.log(closes[np.minimum(at + 1, len(closes) - 1)])
    jump, back, gap = np.abs(close - before), np.abs(after - before), np.abs(open_ - before)
    # how far a price went that was taken back
    bad_close = np.where(back < REVERTED * jump, jump, 0.0)
    bad_open = np.where(jump < REVERTED * gap, gap, 0.0)
    wick = np.maximum(high - np.maximum(open_, close), np.minimum(open_, close) - low)
    went = np.maximum(np.maximum(bad_close, bad_open), wick)
    is_suspect = went > config.bad_print_moves * least
    suspects, went = at[is_suspect], went[is_suspect]
    found = np.zeros(len(bars), dtype=bool)
    # what is usual is looked up around the few bars that could be bad
    for few in np.array_split(np.arange(len(suspects)), len(suspects) // MOST_AT_ONCE + 1):
        usual = np.maximum(np.nan_to_num(usual_moves(moves, suspects[few])), least)
        found[suspects[few]] = went[few] > config.bad_print_moves * usual
    return found


def split_suspects(bars: pd.DataFrame, known_days: NDArray[np.int64]) -> Flags:
    """First bars at another price, in the ratio of a split, from which the price goes on, (B,).

    Args:
        bars: in order of time.
        known_days: midnight, UTC, of days whose move is real, ns.
    """
    opens, closes = (bars[name].to_numpy() for name in ("open", "close"))
    ratio = np.concatenate([[1.0], opens[1:] / closes[:-1]])
    at = np.flatnonzero((ratio > SMALLEST_SPLIT) | (ratio * SMALLEST_SPLIT < 1))
    open_, close, before = (np.log(each) for each in (opens[at], closes[at], closes[at - 1]))
    gap, move = open_ - before, close - before
    # a price that was already there two bars ago only comes back from a bad print
    moved = np.where(at > 1, close - np.log(closes[at - 2]), move)
    stays = np.abs(move - gap) < REVERTED * np.abs(gap)
    stays &= np.abs(moved - gap) < 2 * REVERTED * np.abs(gap)
    is_split = (distance_to_split(gap) < SPLIT_TOLERANCE) & stays
    found = np.zeros(len(bars), dtype=bool)
    found[at[is_split]] = True
    day = bars["timestamp"].astype("int64").to_numpy() // NS_PER_DAY * NS_PER_DAY
    return found & ~np.isin(day, known_days)


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
    logs = np.log10(volume[traded])
    if not _may_change_unit(logs, window):
        return found
    level = pd.Series(logs).rolling(window).median().to_numpy()
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


def _may_change_unit(logs: Array, window: int) -> bool:
    """False if medians of two adjoining windows cannot differ by a change of unit.

    Half of a window's volumes reach its median, so a third of those in one of its whole blocks do.
    """
    block = window // 4
    rows = logs[: len(logs) // block * block].reshape(-1, block)
    third = max(-(-(block - 3) // 3) - 1, 0)
    parts = np.partition(rows, [third, block - 1 - third], axis=1)
    around = 2 * window // block + 3  # blocks that two windows touch
    lowest = minimum_filter1d(parts[:, third], around)
    highest = maximum_filter1d(parts[:, block - 1 - third], around)
    return bool((highest - lowest > VOLUME_STEP).any())


def off_grid(ns: NDArray[np.int64], interval_ns: int, timezone: str) -> Flags:
    """Bars that do not open a whole number of intervals from where most do, (B,).

    The grid is one of local time, in which a day has its clock changes.
    """
    local = pd.DatetimeIndex(ns, tz="UTC").tz_convert(timezone).tz_localize(None)
    phase = local.as_unit("ns").asi8 % interval_ns
    phases, counts = np.unique(phase, return_counts=True)
    return phase != phases[counts.argmax()]
