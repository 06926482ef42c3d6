"""Read a source's table, whatever it is kept in.

A table is text or typed columns, unchecked: `columns` finds out what each of them means, `cells`
turns them into times and numbers. What had to be guessed is told in the table's notes.
"""

import csv
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import feather

from rl_core.base.errors import TollgateError
from rl_core.market.settings import SourceConfig
from rl_core.market.sources.database import read_duckdb
from rl_core.market.sources.remote import fetched, name_of, read_query
from rl_core.market.sources.text import read_text

Rows = NDArray[np.int64]

FORMATS = {
    ".csv": "csv",
    ".tsv": "csv",
    ".txt": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".feather": "feather",
    ".arrow": "feather",
    ".duckdb": "duckdb",
    ".db": "duckdb",
}
COMPRESSED = {".gz", ".zip", ".zst", ".bz2"}
# what the libraries raise on broken or hostile files is not one kind of error
LIBRARY_ERRORS = (
    pa.ArrowException, ValueError, OSError, EOFError, RuntimeError, zlib.error, csv.Error,
    BadZipFile,
)  # fmt: skip
LARGEST_FILE = 64 * 2**30  # bytes


@dataclass(frozen=True)
class Table:
    """A source's cells, and where each row stands in it."""

    frame: pd.DataFrame  # (R, columns)
    rows: Rows  # (R,) line of a text file, else counted from 0
    notes: list[str] = field(default_factory=list)  # how it was understood, where it was guessed


def read_source_table(config: SourceConfig, root: Path) -> tuple[Table, Path]:
    """The table of a desk's source, wherever it lies, and what messages call it.

    Args:
        config: the source.
        root: what a relative path starts from.

    Raises:
        TollgateError: it cannot be reached or read.
    """
    if config.path is not None:
        return read_table(config, root / config.path), root / config.path
    if config.url is None:
        raise TypeError("a source without path and url is no table")
    name = Path(name_of(config.url))
    if config.query is not None:
        return _counted(read_query(config.url, config.query)), name
    with fetched(config.url, LARGEST_FILE) as path:
        return read_table(config, path), name


def read_table(config: SourceConfig, path: Path) -> Table:
    """A source's table: one file, or all files of a folder or of a pattern such as `btc_*.csv`.

    Rows of several files are counted through, in the order of the files' names.

    Raises:
        TollgateError: no such file, or one that cannot be read.
    """
    paths = files_of(path)
    tables = [_read_file(config, each) for each in paths]
    if len(tables) == 1:
        return tables[0]
    first = list(tables[0].frame.columns)
    for each, table in zip(paths, tables, strict=True):
        if list(table.frame.columns) != first:
            raise TollgateError(
                f"files of {path} must have the same columns, was "
                f"{', '.join(map(str, table.frame.columns))} in {each.name} and "
                f"{', '.join(map(str, first))} in {paths[0].name}"
            )
    starts = np.cumsum(
        [0, *(int(table.rows[-1]) + 1 if len(table.rows) else 0 for table in tables)]
    )
    counted = f"{len(paths)} files, {paths[0].name} to {paths[-1].name}, rows counted through"
    return Table(
        pd.concat([table.frame for table in tables], ignore_index=True),
        np.concatenate([t.rows + start for t, start in zip(tables, starts[:-1], strict=True)]),
        [counted, *tables[0].notes],
    )


def files_of(path: Path) -> list[Path]:
    """The files that a path names, in the order of their names.

    Raises:
        TollgateError: there is none.
    """
    if any(sign in path.name for sign in "*?["):
        paths = sorted(p for p in path.parent.glob(path.name) if p.is_file())
    elif path.is_dir():
        paths = sorted(p for p in path.iterdir() if p.is_file() and not p.name.startswith("."))
    else:
        paths = [path] if path.is_file() else []
    if not paths:
        raise TollgateError(f"bars must come from an existing file, was {path}")
    for each in paths:
        if each.stat().st_size > LARGEST_FILE:
            raise TollgateError(f"{each} must have at most {LARGEST_FILE:,} bytes, had more")
    return paths


def format_of(config: SourceConfig, path: Path) -> str | None:
    """The format of a file: as the desk says, else by its ending."""
    endings = [suffix.lower() for suffix in path.suffixes]
    if endings and endings[-1] in COMPRESSED:
        endings.pop()
    return config.format or (FORMATS.get(endings[-1]) if endings else None)


def _read_file(config: SourceConfig, path: Path) -> Table:
    kind = format_of(config, path)
    if kind is None:
        raise TollgateError(
            f"bars must be csv, parquet, feather or duckdb, was {path.name}: set bars.format"
        )
    try:
        return _READERS[kind](config, path)
    except TollgateError:
        raise
    except LIBRARY_ERRORS as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise TollgateError(f"bars must be a readable {kind} file, was {path}: {reason}") from None


def _counted(frame: pd.DataFrame) -> Table:
    """A typed table; an index of times becomes a column, any other only counts the rows."""
    if isinstance(frame.index, pd.DatetimeIndex):
        name = str(frame.index.name or "timestamp")
        # a copy of the index among the columns says nothing more
        frame = frame.rename_axis(index=name).reset_index(drop=name in frame.columns)
    frame = frame.reset_index(drop=True)
    return Table(frame, np.arange(len(frame)))


_READERS: dict[str, Callable[[SourceConfig, Path], Table]] = {
    "csv": lambda config, path: Table(*read_text(config, path)),
    "parquet": lambda _config, path: _counted(pd.read_parquet(path)),
    "feather": lambda _config, path: _counted(feather.read_table(path).to_pandas()),
    "duckdb": lambda config, path: _counted(read_duckdb(path, config.table)),
}
