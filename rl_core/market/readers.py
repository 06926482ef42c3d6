"""Readers for CSV, Parquet and DuckDB tables into the frame that the bar contract describes.

They parse and rename; they repair nothing unasked. A file that runs newest first is turned round,
since that is an order and not a defect; rows out of order are an error unless the desk says
`sort: true`, and then the quality report lists them. Shapes: B bars.
"""

import csv
import itertools
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.market.bars import (
    describe_rows,
    inside_sessions,
    nanoseconds,
    require_bar_contract,
    require_interval,
)
from rl_core.market.settings import (
    COLUMNS,
    OPTIONAL_COLUMNS,
    PRICE_COLUMNS,
    BarsConfig,
    SourceConfig,
)

_FORMATS = {
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".duckdb": "duckdb",
    ".db": "duckdb",
}

Rows = NDArray[np.int64]


@dataclass(frozen=True)
class RawBars:
    """Parsed but not yet checked bars."""

    frame: pd.DataFrame  # (B,) the contract's columns
    row_numbers: Rows  # (B,) line in a CSV, else the row counted from 0
    was_newest_first: bool

    def take(self, order: NDArray[np.int64]) -> Self:
        """The same bars in another order."""
        frame = self.frame.iloc[order].reset_index(drop=True)
        return replace(self, frame=frame, row_numbers=self.row_numbers[order])


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
    bars = require_interval(require_bar_contract(raw.frame, raw.row_numbers), config.interval_ns)
    return inside_sessions(bars, config, raw.row_numbers)


def read_raw_bars(config: BarsConfig, root: Path) -> RawBars:
    """Read without holding to the contract: what the quality report looks at.

    Raises:
        TollgateError: no such file or column, or a cell that is not a number or a time.
    """
    if config.path is None:
        raise TypeError("bars of a simulated market are not read from a file")
    path = root / config.path
    table, rows = read_table(config, path)
    table = _select_columns(table, config, path, rows)
    if table.empty:
        raise TollgateError(f"bars must have at least one row, was none in {path}")
    frame = pd.DataFrame({"timestamp": parse_timestamps(table["timestamp"], config, rows)})
    for column in (*PRICE_COLUMNS, "volume"):
        frame[column] = parse_numbers(table[column], column, rows)
    for column in OPTIONAL_COLUMNS:
        if column in table:
            frame[column] = parse_names(table[column], column, rows)
    steps = np.diff(nanoseconds(frame["timestamp"]))
    newest_first = bool((steps < 0).sum() > (steps > 0).sum())
    raw = RawBars(frame, rows, newest_first)
    return raw.take(np.arange(len(frame))[::-1]) if newest_first else raw


def read_table(config: SourceConfig, path: Path) -> tuple[pd.DataFrame, Rows]:
    """The table, and where each of its rows stands in the file: line in a CSV, else from 0.

    Raises:
        TollgateError: no such file, or one that cannot be read.
    """
    if not path.is_file():
        raise TollgateError(f"bars must come from an existing file, was {path}")
    kind = config.format or _FORMATS.get(path.suffix.lower())
    try:
        if kind == "csv":
            return _read_csv(path, config.skip_rows)
        if kind == "parquet":
            table = pd.read_parquet(path)
            if isinstance(table.index, pd.DatetimeIndex):  # else it only counts the rows
                table = table.reset_index(names=table.index.name or "timestamp")
            table = table.reset_index(drop=True)
            return table, np.arange(len(table))
        if kind == "duckdb":
            table = _read_duckdb(config, path)
            return table, np.arange(len(table))
    except (
        pd.errors.EmptyDataError,
        pd.errors.ParserError,
        csv.Error,
        pa.ArrowException,
        UnicodeDecodeError,
        OSError,
        duckdb.Error,
    ) as error:
        reason = str(error).strip().splitlines()[0]
        raise TollgateError(f"bars must be a readable {kind} file, was {path}: {reason}") from None
    raise TollgateError(f"bars must be csv, parquet or duckdb, was {path.name}: set bars.format")


def _read_csv(path: Path, skip_rows: int) -> tuple[pd.DataFrame, Rows]:
    """All cells as text: pandas would turn a ticker NA into NaN and keep 1_000 as a string."""
    _require_distinct_names(path, skip_rows)
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # it would drop the extra cells
        try:
            table = pd.read_csv(
                path,
                skiprows=skip_rows,
                dtype=str,
                keep_default_na=False,
                index_col=False,
                skip_blank_lines=False,  # they count in a line's number
            )
        except pd.errors.ParserWarning:
            raise TollgateError(
                f"{path.name} must have as many column names as cells in line {skip_rows + 1}, had "
                "fewer: set bars.skip_rows if a title line comes first"
            ) from None
    lines = np.arange(len(table)) + skip_rows + 2
    is_blank = (table.fillna("") == "").all(axis=1).to_numpy()
    return table[~is_blank].reset_index(drop=True), lines[~is_blank]


def _require_distinct_names(path: Path, skip_rows: int) -> None:
    """Pandas would rename a repeated column, and nobody would know."""
    with path.open(newline="", encoding="utf-8-sig") as file:
        names = next(itertools.islice(csv.reader(file), skip_rows, None), [])
    repeated = sorted({name for name in names if name and names.count(name) > 1})
    if repeated:
        raise TollgateError(
            f"columns of {path.name} must have different names, was {', '.join(repeated)} "
            f"more than once in line {skip_rows + 1}"
        )


def _read_duckdb(config: SourceConfig, path: Path) -> pd.DataFrame:
    if config.table is None:
        raise TollgateError(f"bars.table must name a table of {path.name}, was not set")
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.table(config.table).to_arrow_table().to_pandas()


def _select_columns(
    table: pd.DataFrame, config: BarsConfig, path: Path, rows: Rows
) -> pd.DataFrame:
    symbol = config.name_in_file("symbol")
    asked = [*COLUMNS, *(name for name in OPTIONAL_COLUMNS if name in config.columns)]
    missing = [name for name in map(config.name_in_file, asked) if name not in table.columns]
    if missing:
        hint = ", or bars.skip_rows if a title line comes first" if path.suffix == ".csv" else ""
        raise TollgateError(
            f"{path.name} must have the columns {', '.join(map(config.name_in_file, asked))}, "
            f"was without {', '.join(missing)} (it has {', '.join(map(str, table.columns))}): "
            f"set bars.columns{hint}"
        )
    if symbol in table.columns:
        others = np.flatnonzero((table[symbol] != config.symbol).to_numpy())
        if len(others):
            raise TollgateError(
                f"bars must all be of symbol {config.symbol}, "
                f"was {table[symbol].iloc[others[0]]} ({describe_rows(rows[others])})"
            )
    rolls = OPTIONAL_COLUMNS if config.has_contracts else ()
    named = {name: config.name_in_file(name) for name in (*COLUMNS, *rolls)}
    return pd.DataFrame({name: table[own] for name, own in named.items() if own in table.columns})


def parse_timestamps(column: pd.Series, config: SourceConfig, rows: Rows) -> pd.Series:
    """Times as UTC.

    Raises:
        TollgateError: a cell that is none, with its row.
    """
    if pd.api.types.is_numeric_dtype(column):
        raise TollgateError(
            f"timestamps must be times, was the number {column.iloc[0]} (row {rows[0]}): "
            "convert epochs to UTC times first, since their unit cannot be told for sure"
        )
    expected = config.timestamp_format or "ISO8601"
    try:
        parsed = pd.to_datetime(column, format=expected, errors="coerce")
    except ValueError:  # several offsets from UTC, or a format that is none
        try:
            parsed = pd.to_datetime(column, format=expected, errors="coerce", utc=True)
        except ValueError as error:
            raise TollgateError(
                f"bars.timestamp_format must be one that strptime reads, was {expected}: {error}"
            ) from None
    bad = np.flatnonzero(parsed.isna())
    if len(bad):
        raise TollgateError(
            f"timestamps must read as {config.timestamp_format or 'ISO 8601'}, "
            f"was {column.iloc[bad[0]]!r} ({describe_rows(rows[bad])})"
        )
    try:
        if parsed.dt.tz is None:
            parsed = parsed.dt.tz_localize(config.timezone)
        return parsed.dt.tz_convert("UTC").dt.as_unit("ns")
    except (ValueError, OverflowError) as error:  # an hour that the clock change skips or repeats
        raise TollgateError(
            f"timestamps must exist once in {config.timezone} and be after 1677 and before 2262, "
            f"was {error}"
        ) from None


def parse_names(column: pd.Series, name: str, rows: Rows) -> pd.Series:
    """Texts, none of them empty.

    Raises:
        TollgateError: an empty cell, with its row.
    """
    blank = np.flatnonzero(column.isna() | (column.astype("str") == ""))
    if len(blank):
        raise TollgateError(
            f"bars column {name} must name each bar's {name}, was empty "
            f"({describe_rows(rows[blank])})"
        )
    return column.astype("str")


def parse_numbers(column: pd.Series, name: str, rows: Rows) -> pd.Series:
    """Finite numbers as float64.

    Raises:
        TollgateError: a cell that is none, with its row.
    """
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        raise TollgateError(
            f"bars column {name} must hold finite numbers, was {column.iloc[bad[0]]!r} "
            f"({describe_rows(rows[bad])})"
        )
    return numbers
