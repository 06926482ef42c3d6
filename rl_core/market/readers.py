"""Bars of one instrument, from a source's table into the frame that the bar contract describes.

What must be guessed about a source is told; what is wrong with it is an error with its rows, and
repaired only where the desk says so. A file that runs newest first is turned round, since that is
an order and not a defect. Shapes: B bars.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.base.units import NS_PER_MINUTE, NS_PER_SECOND
from rl_core.market.bars import (
    describe_rows,
    inside_sessions,
    nanoseconds,
    require_bar_contract,
    require_interval,
)
from rl_core.market.quality import QualityReport, assess_quality
from rl_core.market.rolls import CONTRACT
from rl_core.market.settings import (
    COLUMNS,
    HALF_SPREAD,
    OPTIONAL_COLUMNS,
    PRICE_COLUMNS,
    BarsConfig,
    QualityConfig,
)
from rl_core.market.sources.advice import AdvisedError
from rl_core.market.sources.cells import parse_names, parse_numbers, parse_timestamps
from rl_core.market.sources.columns import understood
from rl_core.market.sources.table import Rows, Table, read_source_table

ROUNDING_ULPS = 8  # by which a high may miss the close, and be meant to reach it
OPEN_CANDLE_VOLUME = 0.01  # of the median of the last bars: less, at one price, is a bar begun
LATEST = 50


@dataclass(frozen=True)
class RawBars:
    """Parsed but not yet checked bars."""

    frame: pd.DataFrame  # (B,) the contract's columns
    row_numbers: Rows  # (B,) line in a text file, else the row counted from 0
    was_newest_first: bool
    notes: list[str] = field(default_factory=list)  # how the source was understood

    def take(self, order: NDArray[np.int64]) -> Self:
        """The same bars in another order, or some of them."""
        frame = self.frame.iloc[order].reset_index(drop=True)
        return replace(self, frame=frame, row_numbers=self.row_numbers[order])


def as_read(frame: pd.DataFrame) -> RawBars:
    """Bars that stand in no file: rows are counted from 0."""
    return RawBars(frame, np.arange(len(frame)), was_newest_first=False)


def read_bars(config: BarsConfig, root: Path) -> pd.DataFrame:
    """Read a desk's bars and hold them to the contract.

    Raises:
        TollgateError: the file cannot be read, or its bars break the contract.
    """
    return checked_bars(read_raw_bars(config, root), config)


def checked_bars(raw: RawBars, config: BarsConfig) -> pd.DataFrame:
    """Hold raw bars to the contract, in time order if the desk asks for it.

    Raises:
        TollgateError: the bars break the contract.
    """
    if config.sort:
        raw = raw.take(np.argsort(nanoseconds(raw.frame["timestamp"]), kind="stable"))
    if config.drop_duplicates:
        raw = without_repeats(raw)
    bars = require_interval(require_bar_contract(raw.frame, raw.row_numbers), config.interval_ns)
    return inside_sessions(bars, config, raw.row_numbers)


def without_repeats(raw: RawBars) -> RawBars:
    """The bars, of several that say the same of one time only the first.

    Raises:
        TollgateError: two rows say different things of one time.
    """
    frame = raw.frame
    twice = frame["timestamp"].duplicated(keep=False).to_numpy()
    repeats = frame.duplicated().to_numpy()
    conflict = np.flatnonzero(frame["timestamp"].duplicated().to_numpy() & ~repeats)
    if len(conflict):
        at = frame["timestamp"].iloc[conflict[0]]
        same = np.flatnonzero(twice & (frame["timestamp"] == at).to_numpy())
        said = " and ".join(f"{frame['close'].iloc[row]:g}" for row in same[:2])
        raise TollgateError(
            f"rows of one time must say the same, was a close of {said} at {at:%Y-%m-%d %H:%M} "
            f"({describe_rows(raw.row_numbers[same])}), {len(conflict)} such times: keep one of "
            "the two downloads"
        )
    return raw.take(np.flatnonzero(~repeats))


def read_raw_bars(
    config: BarsConfig,
    root: Path,
    now: pd.Timestamp | None = None,
    *,
    keeps_impossible: bool = False,
) -> RawBars:
    """Read without holding to the contract: what the quality report looks at.

    Args:
        config: the source.
        root: what a relative path starts from.
        now: time of reading, UTC; a bar that closes later is still open.
        keeps_impossible: read a cell that is no number as NaN, since its bar will be left out.

    Raises:
        TollgateError: no such file or column, or a cell that is not a number or a time.
    """
    read, path = read_source_table(config, root)
    table = understood(read, config, keeps_impossible=keeps_impossible)
    notes = list(table.notes)
    named = _select_columns(table, config, path)
    rows = table.rows
    if named.empty:
        raise TollgateError(f"bars must have at least one row, was none in {path}")
    times = parse_timestamps(named["timestamp"], config, rows)
    frame = pd.DataFrame({"timestamp": opening_times(times, config, rows)})

    def numbers(column: str) -> pd.Series:
        return parse_numbers(named[column], column, rows, keeps_others=keeps_impossible)

    for column in PRICE_COLUMNS:
        frame[column] = numbers(column) * config.price_scale
    frame["volume"] = _volume(named, config, numbers, notes)
    if CONTRACT in named:
        frame[CONTRACT] = parse_names(named[CONTRACT], CONTRACT, rows)
    if HALF_SPREAD in named:
        frame[HALF_SPREAD] = numbers(HALF_SPREAD)
    _round_extremes(frame, notes)
    steps = np.diff(nanoseconds(frame["timestamp"]))
    newest_first = bool((steps < 0).sum() > (steps > 0).sum())
    raw = RawBars(frame, rows, newest_first, notes)
    if newest_first:
        raw = raw.take(np.arange(len(frame))[::-1])
    moment = now or pd.Timestamp.now("UTC")
    refuse_future(raw, moment)
    return without_open_candle(raw, config, moment)


def assess_source(raw: RawBars, config: BarsConfig, limits: QualityConfig) -> QualityReport:
    """Look at the bars of a source, as they stand in it."""
    return assess_quality(
        raw.frame,
        config.interval_ns,
        limits,
        row_numbers=raw.row_numbers,
        was_newest_first=raw.was_newest_first,
        sessions=config.sessions,
        timezone=config.timezone,
        known_moves=config.known_moves,
        notes=raw.notes,
    )


def opening_times(times: pd.Series, config: BarsConfig, rows: Rows) -> pd.Series:
    """When each bar opened, (B,), from when it is stamped.

    Raises:
        TollgateError: the stamps are of the bars' ends, and the desk does not say so.
    """
    ns = nanoseconds(times)
    # …:59.999, or …:59 of bars that are minutes long and longer
    short = -ns % min(config.interval_ns, NS_PER_MINUTE)
    before_whole = (short > 0) & (short <= NS_PER_SECOND)
    if config.stamped_at == "open":
        if before_whole.mean() > 0.5:
            raise AdvisedError(
                f"timestamps must be those at which bars open, was {times.iloc[0]} "
                f"({describe_rows(rows[:1])}), as a bar's end is stamped: set "
                "bars.stamped_at: close",
                stamped_at="close",
            )
        return times
    whole = ns + np.where(before_whole, short, 0)
    return pd.Series(pd.to_datetime(whole - config.interval_ns, utc=True)).astype(times.dtype)


def refuse_future(raw: RawBars, now: pd.Timestamp) -> None:
    """Refuse bars that have not even opened: their times are of another zone or unit.

    Raises:
        TollgateError: names them, and the settings that may be wrong.
    """
    ahead = np.flatnonzero((raw.frame["timestamp"] > now).to_numpy())
    if len(ahead):
        raise TollgateError(
            f"bars must have opened by now, {now:%Y-%m-%d %H:%M} UTC, was "
            f"{raw.frame['timestamp'].iloc[ahead[0]]:%Y-%m-%d %H:%M} "
            f"({describe_rows(raw.row_numbers[ahead])}): set bars.timezone to the zone of the "
            "file's times, or another bars.timestamp_unit"
        )


def without_open_candle(raw: RawBars, config: BarsConfig, now: pd.Timestamp) -> RawBars:
    """The bars but the latest one, wherever it stands, if it has not closed yet.

    Its close is still to come, or it has one price and next to no volume after bars with some.
    """
    frame = raw.frame
    order = np.argsort(nanoseconds(frame["timestamp"]), kind="stable")
    last = frame.iloc[order[-1]]
    closes = last["timestamp"] + pd.Timedelta(config.interval_ns, "ns")
    usual = frame["volume"].iloc[order[-LATEST - 1 : -1]].median()
    prices = {last[name] for name in PRICE_COLUMNS}
    is_begun = len(prices) == 1 and 0 < last["volume"] < OPEN_CANDLE_VOLUME * usual
    if len(frame) < 2 or not (closes > now or is_begun):
        return raw
    why = f"closes at {closes:%Y-%m-%d %H:%M} UTC" if closes > now else "had only begun"
    note = f"the last bar ({describe_rows(raw.row_numbers[order[-1:]])}) {why}: not used"
    others = np.delete(np.arange(len(frame)), order[-1])
    return replace(raw.take(others), notes=[*raw.notes, note])


def _volume(
    named: pd.DataFrame,
    config: BarsConfig,
    numbers: Callable[[str], pd.Series],
    notes: list[str],
) -> pd.Series:
    """What was traded in each bar, (B,); NaN in all of them on a market that reports none."""
    none = pd.Series(np.full(len(named), np.nan))
    if config.volume == "none":
        return none
    if "volume" not in named:
        notes.append("no column of volume: taken as a market that reports none (volume: none)")
        return none
    volume = numbers("volume")
    if volume.isna().all():  # where cells that are no numbers are left out with their bars
        raise TollgateError("bars column volume must hold numbers, was without one")
    if config.volume == "traded" and not (volume.fillna(0) != 0).any():
        raise TollgateError("bars must have volume (volume: traded), was 0 in every row")
    if config.volume is None and not (volume.fillna(0) != 0).any():
        notes.append("volume is 0 in every row: taken as a market that reports none (volume: none)")
        return none
    return volume


def _round_extremes(frame: pd.DataFrame, notes: list[str]) -> None:
    """Let a high or low that misses the open or close by a rounding error reach it."""
    count = 0
    for name, inside, sign in (("high", "max", 1), ("low", "min", -1)):
        reached = getattr(frame[["open", "close"]], inside)(axis=1).to_numpy()
        value = frame[name].to_numpy()
        short = sign * (reached - value)
        misses = (short > 0) & (short <= ROUNDING_ULPS * np.spacing(np.abs(reached)))
        frame[name] = np.where(misses, reached, value)
        count += int(misses.sum())
    if count:
        notes.append(f"{count} highs or lows that missed the open or close by rounding reach it")


def _select_columns(table: Table, config: BarsConfig, path: Path) -> pd.DataFrame:
    """The contract's columns, by its names.

    Raises:
        TollgateError: one is missing, or a row is of another symbol.
    """
    frame = table.frame
    needed = [*COLUMNS, *(name for name in OPTIONAL_COLUMNS if name in config.columns)]
    if config.volume != "traded" and "volume" not in config.columns:
        needed.remove("volume")
    missing = [config.name_in_file(name) for name in needed if name not in frame.columns]
    if missing:
        hint = ", or bars.skip_rows if a title line comes first" if path.suffix == ".csv" else ""
        raise TollgateError(
            f"{path.name} must have the columns {', '.join(map(config.name_in_file, needed))}, "
            f"was without {', '.join(missing)} (it has {', '.join(map(str, frame.columns))}): "
            f"set bars.columns{hint}"
        )
    if "symbol" in frame.columns:
        others = np.flatnonzero((frame["symbol"] != config.symbol).to_numpy())
        if len(others):
            other = str(frame["symbol"].iloc[others[0]])
            said = (
                f"bars must all be of symbol {config.symbol}, was {other} "
                f"({describe_rows(table.rows[others])})"
            )
            if frame["symbol"].nunique() > 1:
                raise TollgateError(said)
            raise AdvisedError(said, symbol=other)
    wanted = [
        *COLUMNS, *(n for n in OPTIONAL_COLUMNS if n == HALF_SPREAD or config.has_contracts),
    ]  # fmt: skip
    return pd.DataFrame({name: frame[name] for name in wanted if name in frame.columns})
