"""The quality report of a table of bars, and the data-health index that the state carries.

A bar's health depends on that bar and those before it; the report looks at the whole table.
Shapes: B bars.
"""

from collections.abc import Sequence
from datetime import date

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rl_core.base.units import NS_PER_DAY
from rl_core.market.bars import has_volume, nanoseconds, ohlc_contradictions
from rl_core.market.oddities import bad_prints, off_grid, split_suspects, volume_unit_changes
from rl_core.market.rolls import bad_rolls, rolls
from rl_core.market.sessions import TradingHours, trading_hours
from rl_core.market.settings import PRICE_COLUMNS, QualityConfig, SessionConfig

MAX_UNIT_ERROR = 0.1  # in powers of ten, around a whole one
ROW_CHECKS = {  # check -> list of rows in a report, and what they are
    "bars_lie_on_the_grid": ("off_grid_rows", "that open at other times than most"),
    "no_price_is_a_bad_print": ("bad_print_rows", "with a price that jumps away and is back"),
    "volume_has_one_unit": ("volume_unit_rows", "with volume in another unit than most"),
    "prices_have_one_unit": ("unit_error_rows", "with prices off by a power of ten"),
    "the_feed_never_died": ("dead_rows", "in stretches without volume or change"),
    "rolls_are_plausible": ("bad_roll_rows", "that change the contract as no exchange does"),
    "prices_are_adjusted": ("split_rows", "that fall or rise as if by a split"),
}


class Gap(BaseModel):
    """A run of bars that should be there and are missing."""

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
    has_volume: bool = True  # False: the market reports none, and no row of it is odd
    bad_print_rows: list[int] = []  # a price that jumps away and is back at once
    volume_unit_rows: list[int] = []  # whose volume is in another unit than most others'
    stale_rows: list[int]
    dead_rows: list[int]  # of stretches without volume or change
    jump_rows: list[int]
    unit_error_rows: list[int]  # prices off by a power of ten
    outside_session_rows: list[int]
    rolls: int  # changes of contract
    bad_roll_rows: list[int]
    mean_health: float  # 0..1
    stocks: int = 1
    missing_prices: int = 0  # of listed stocks
    stocks_that_left: list[str] = []
    split_rows: list[int] = []  # prices that look as if a split had not been adjusted for
    notes: list[str] = []  # how the source was understood, where it was guessed
    named: dict[
        str, list[str]
    ] = {}  # list of rows -> stock, day and move, where rows say too little


def assess_quality(
    bars: pd.DataFrame,
    interval_ns: int,
    config: QualityConfig,
    *,
    row_numbers: NDArray[np.int64] | None = None,
    was_newest_first: bool = False,
    sessions: SessionConfig | None = None,
    timezone: str = "UTC",
    known_moves: Sequence[date] = (),
    notes: Sequence[str] = (),
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
        sessions: when the market is open; always, when left out.
        timezone: whose clock the bars keep.
        known_moves: days whose move looks like a split and is real.
        notes: how the source was understood.
    """
    in_file = np.arange(len(bars)) if row_numbers is None else row_numbers
    file_ns = nanoseconds(bars["timestamp"])
    order = np.argsort(file_ns, kind="stable")
    ns, ordered, rows = file_ns[order], bars.iloc[order], in_file[order]
    hours = trading_hours(sessions, ns, interval_ns)
    position, is_open = hours.position(ns), hours.is_open(ns)
    missing = _missing_before(position)
    ohlc = np.unique(np.concatenate(list(ohlc_contradictions(ordered).values())))
    stale = _stale(ordered, config.stale_bars)
    has_hours = sessions is not None and interval_ns < NS_PER_DAY
    grid = ~hours.is_on_grid(ns) if has_hours else off_grid(ns, interval_ns, timezone)
    # prices that are none, or orders that are wrong, are errors of the contract, told apart
    is_whole = bool((ordered[list(PRICE_COLUMNS)] > 0).all(axis=None)) and len(ordered) > 2
    nothing = np.zeros(len(ordered), dtype=bool)
    days = np.array([pd.Timestamp(day).value for day in known_moves], dtype=np.int64)
    rolled = rolls(ordered)
    splits = split_suspects(ordered, days) & ~rolled if is_whole else nothing
    prints = bad_prints(ordered, config) & ~rolled if is_whole else nothing
    return QualityReport(
        rows=len(bars),
        start=str(ordered["timestamp"].iloc[0]),
        end=str(ordered["timestamp"].iloc[-1]),
        was_newest_first=was_newest_first,
        gaps=[
            Gap(start=str(pd.Timestamp(start, tz="UTC")), bars=int(missing[i]))
            for i, start in _first_missing(hours, position, missing)
        ],
        missing_bars=int(missing.sum()),
        off_grid_rows=rows[grid].tolist(),
        duplicate_rows=rows[np.concatenate([[False], np.diff(ns) == 0])].tolist(),
        unsorted_rows=in_file[np.concatenate([[False], np.diff(file_ns) < 0])].tolist(),
        ohlc_contradiction_rows=rows[ohlc].tolist(),
        zero_volume_rows=rows[ordered["volume"].to_numpy() == 0].tolist(),
        has_volume=has_volume(bars),
        bad_print_rows=rows[prints].tolist(),
        volume_unit_rows=rows[volume_unit_changes(ordered)].tolist(),
        split_rows=rows[splits].tolist(),
        named={"split_rows": _named(ordered, splits)} if splits.any() else {},
        notes=list(notes),
        stale_rows=rows[stale].tolist(),
        dead_rows=rows[_dead(ordered, config.dead_bars)].tolist(),
        jump_rows=rows[_jumps(ordered, config.jump_return)].tolist(),
        unit_error_rows=rows[_unit_errors(ordered)].tolist(),
        outside_session_rows=rows[~is_open].tolist(),
        rolls=int(rolls(ordered).sum()),
        bad_roll_rows=rows[
            bad_rolls(ordered, _session_or_none(hours, ns), config.max_roll_gap)
        ].tolist(),
        mean_health=float(data_health(ordered, position, config).mean()),
    )


def data_health(
    bars: pd.DataFrame, position: NDArray[np.int64], config: QualityConfig
) -> NDArray[np.float64]:
    """Share of sound bars among those expected in the trailing window, (B,) in [0, 1].

    A missing, stale, zero-volume or jumping bar is not sound. The window is counted in open time,
    so a bar after a long gap has the health of the gap, and one after a weekend that of Friday.

    Args:
        bars: (B,) in order of time.
        position: (B,) place of each on the grid of `TradingHours`.
        config: what counts as suspicious.
    """
    unsound = (
        (bars["volume"].to_numpy() == 0)
        | _stale(bars, config.stale_bars)
        | _jumps(bars, config.jump_return)
    )
    sound_so_far = np.concatenate([[0], np.cumsum(~unsound)])
    window = config.health_window_bars
    first = np.searchsorted(position, position - (window - 1))
    # before the window is full only the bars since the table's start are expected
    expected = np.minimum(position - position[0] + 1, window)
    sound = sound_so_far[np.arange(len(position)) + 1] - sound_so_far[first]
    return np.clip(sound / np.maximum(expected, 1), 0.0, 1.0)


def _named(bars: pd.DataFrame, rows: NDArray[np.bool_]) -> list[str]:
    """Time and move of some bars, in words."""
    opens, closes = bars["open"].to_numpy(), bars["close"].to_numpy()
    return [
        f"{bars['timestamp'].iloc[row]:%Y-%m-%d %H:%M} {opens[row] / closes[row - 1] - 1:+.1%}"
        for row in np.flatnonzero(rows)
    ]


def _missing_before(position: NDArray[np.int64]) -> NDArray[np.int64]:
    """Number of bars missing just before each bar, (B,)."""
    return np.concatenate([[0], np.maximum(np.diff(position) - 1, 0)])


def _first_missing(
    hours: TradingHours, position: NDArray[np.int64], missing: NDArray[np.int64]
) -> list[tuple[int, int]]:
    """Row after each gap, and when the first bar of the gap should have opened."""
    after = np.flatnonzero(missing)
    starts = hours.time(position[after] - missing[after])
    return list(zip(after.tolist(), starts.tolist(), strict=True))


def _session_or_none(hours: TradingHours, ns: NDArray[np.int64]) -> NDArray[np.int64]:
    """Session of each bar; bars of a market that is always open have one each."""
    return np.arange(len(ns)) if hours.is_always_open else hours.session(ns)


def _stale(bars: pd.DataFrame, run_length: int) -> NDArray[np.bool_]:
    """True from the `run_length`-th bar on of a run whose OHLC never moves."""
    prices = bars[["open", "high", "low", "close"]].to_numpy()
    same = np.concatenate([[False], (prices[1:] == prices[:-1]).all(axis=1)])
    positions = np.arange(len(same))
    last_change = np.maximum.accumulate(np.where(same, 0, positions))
    return positions - last_change + 1 >= run_length


def _dead(bars: pd.DataFrame, run_length: int) -> NDArray[np.bool_]:
    """Every bar of a run of at least `run_length` without volume in which prices never change.

    Such a bar has one price, or repeats the bar before.
    """
    prices = bars[["open", "high", "low", "close"]].to_numpy()
    repeats = np.concatenate([[False], (prices[1:] == prices[:-1]).all(axis=1)])
    is_still = (prices.max(axis=1) == prices.min(axis=1)) | repeats
    is_flat = is_still & ~(bars["volume"].to_numpy() > 0)
    run = np.cumsum(np.concatenate([[True], is_flat[1:] != is_flat[:-1]])) - 1
    return is_flat & (np.bincount(run)[run] >= run_length)


def _jumps(bars: pd.DataFrame, limit: float) -> NDArray[np.bool_]:
    """Closes far from the one before, unless a roll explains it."""
    close = bars["close"].to_numpy()
    return np.concatenate([[False], np.abs(close[1:] / close[:-1] - 1) > limit]) & ~rolls(bars)


def _unit_errors(bars: pd.DataFrame) -> NDArray[np.bool_]:
    """Bars whose prices are a power of ten away from most others', or from each other.

    A step by nearly a whole power of ten changes the unit from there on; the unit that most bars
    have is the right one.
    """
    close, high, low = (bars[name].to_numpy() for name in ("close", "high", "low"))
    with np.errstate(divide="ignore", invalid="ignore"):
        steps = np.nan_to_num(np.diff(np.log10(close)), posinf=0.0, neginf=0.0)
        spread = np.log10(high / low)
    powers = np.where(np.abs(steps - np.round(steps)) < MAX_UNIT_ERROR, np.round(steps), 0.0)
    unit = np.concatenate([[0], np.cumsum(powers)]).astype(np.int64)
    values, counts = np.unique(unit, return_counts=True)
    return (unit != values[counts.argmax()]) | (spread > 1 - MAX_UNIT_ERROR)
