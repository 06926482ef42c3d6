"""Text files: delimiter, decimal sign, header and compression as people bring them.

All cells stay text: pandas would turn a ticker NA into NaN and keep 1_000 as a string.
"""

import bz2
import csv
import gzip
import io
import itertools
import re
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.market.settings import SourceConfig
from rl_core.market.sources.advice import AdvisedError

DELIMITERS = {",": "a comma", ";": "a semicolon", "\t": "a tab", "|": "a bar"}
TWO_LEVELS = "price"  # begins the first of three header lines that `yf.download` writes
_NUMBER = re.compile(r"^[+-]?\d+([.,]\d*)?(e[+-]?\d+)?$", re.IGNORECASE)
_COMMA_NUMBER = r"^[+-]?\d+,\d+(?:[eE][+-]?\d+)?$"
_POINT_NUMBER = r"^[+-]?\d+\.\d+(?:[eE][+-]?\d+)?$"


def read_text(
    config: SourceConfig, path: Path
) -> tuple[pd.DataFrame, NDArray[np.int64], list[str]]:
    """The cells of a text file, the line that each row stands in, and what had to be guessed.

    Raises:
        TollgateError: no header, repeated column names, or lines of different lengths.
    """
    notes: list[str] = []
    first = _first_line(path, config.skip_rows)
    delimiter = config.delimiter or _delimiter(first)
    if config.delimiter is None and delimiter != ",":
        notes.append(f"cells are separated by {DELIMITERS[delimiter]}")
    header = next(csv.reader([first], delimiter=delimiter), [])
    if not config.names:
        _require_header(header, config, path)
    lines_above = 0 if config.names else 1
    try:
        frame = _read(path, config, delimiter)
    except pd.errors.ParserWarning:
        raise TollgateError(
            f"{path.name} must have as many column names as cells in line {config.skip_rows + 1}, "
            "had fewer: set bars.skip_rows if a title line comes first"
        ) from None
    lines = np.arange(len(frame)) + config.skip_rows + lines_above + 1
    keep = ~(frame.fillna("") == "").all(axis=1).to_numpy()
    repeats = _repeated_headers(frame)
    if repeats.any():
        notes.append(f"{repeats.sum()} lines that only repeat the column names are left out")
    frame, lines = frame[keep & ~repeats].reset_index(drop=True), lines[keep & ~repeats]
    return _with_decimal_points(frame, config.decimal, delimiter, notes), lines, notes


def _open(path: Path) -> IO[bytes]:
    """The file's bytes, decompressed by its ending."""
    match path.suffix.lower():
        case ".gz":
            return io.BufferedReader(gzip.GzipFile(path))
        case ".bz2":
            return io.BufferedReader(bz2.BZ2File(path))
        case ".zst":
            return io.BufferedReader(pa.input_stream(str(path), compression="zstd"))  # type: ignore[arg-type]
        case ".zip":
            archive = zipfile.ZipFile(path)
            names = [name for name in archive.namelist() if not name.endswith("/")]
            if len(names) != 1:
                raise TollgateError(f"{path.name} must hold one file, was {len(names)}")
            return archive.open(names[0])
        case _:
            return path.open("rb")


def _first_line(path: Path, skip_rows: int) -> str:
    """The header, or the first line of a file without; empty if there is none."""
    with _open(path) as raw, io.TextIOWrapper(raw, encoding="utf-8-sig", newline="") as file:
        return next(itertools.islice(file, skip_rows, None), "")


def _delimiter(line: str) -> str:
    """The sign that splits a line into most cells; a comma if none does."""
    return max(DELIMITERS, key=line.count)  # the comma stands first


def _require_header(header: Sequence[str], config: SourceConfig, path: Path) -> None:
    """Names in the first line, each once: pandas would rename a repeated one unnoticed."""
    line = config.skip_rows + 1
    cells = [cell.strip() for cell in header]
    if sum(bool(_NUMBER.match(cell)) for cell in cells) >= max(len(cells) - 2, 3):
        names = ["timestamp", "open", "high", "low", "close", "volume"][: len(cells)]
        names += [f"column_{number}" for number in range(len(names) + 1, len(cells) + 1)]
        raise AdvisedError(
            f"{path.name} must name its columns in line {line}, was data ({', '.join(cells[:6])}): "
            f"set bars.names, such as [{', '.join(names)}]",
            names=names,
        )
    repeated = sorted({name for name in header if name and header.count(name) > 1})
    if repeated and cells[0].lower() != TWO_LEVELS:
        raise TollgateError(
            f"columns of {path.name} must have different names, was {', '.join(repeated)} "
            f"more than once in line {line}"
        )


def _read(path: Path, config: SourceConfig, delimiter: str) -> pd.DataFrame:
    names = list(config.names) or None
    with _open(path) as raw, warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)  # it would drop the extra cells
        return pd.read_csv(
            raw,
            sep=delimiter,
            skiprows=config.skip_rows,
            dtype=str,
            keep_default_na=False,
            index_col=False,
            skip_blank_lines=False,  # they count in a line's number
            header=None if names else 0,
            names=names,
            encoding="utf-8-sig",
        )


def _repeated_headers(frame: pd.DataFrame) -> NDArray[np.bool_]:
    """Lines that name columns again, as files do that were glued together."""
    if not len(frame.columns):
        return np.zeros(len(frame), dtype=bool)
    names = [str(name).strip().lower() for name in frame.columns]
    first = frame.iloc[:, 0].str.strip().str.lower()
    suspects = np.flatnonzero((first == names[0]).to_numpy())
    found = np.zeros(len(frame), dtype=bool)
    for row in suspects:
        cells = [str(cell).strip().lower() for cell in frame.iloc[row]]
        found[row] = cells == names
    return found


def _with_decimal_points(
    frame: pd.DataFrame, decimal: str | None, delimiter: str, notes: list[str]
) -> pd.DataFrame:
    """Numbers such as 1,5 as 1.5: where the desk says so, or where no other reading is left."""
    if decimal == "." or (decimal is None and delimiter == ","):
        return frame
    commas = [name for name in frame.columns if frame[name].str.match(_COMMA_NUMBER).any()]
    if not commas:
        return frame
    if decimal is None:
        cells = pd.concat([frame[name] for name in frame.columns], ignore_index=True)
        has_points = cells.str.match(_POINT_NUMBER).any()
        parts = cells[cells.str.match(_COMMA_NUMBER)].str.split(",")
        # 1,234 may be a thousand; 1,2 and 0,123 cannot
        is_proved = ((parts.str[1].str.len() != 3) | (parts.str[0] == "0")).any()
        if has_points or not is_proved:
            first = cells[parts.index[0]]
            if has_points:
                raise TollgateError(
                    f"numbers must have one decimal sign, was a comma in {first} and a point "
                    "elsewhere: set bars.decimal, or mend the file"
                )
            raise TollgateError(
                f"numbers must be read in one way, was {first}: set bars.decimal to the sign "
                "before the decimals, a comma or a point"
            )
        notes.append("a comma is the decimal sign")
    written = {name: frame[name].str.replace(",", ".", regex=False) for name in commas}
    return frame.assign(**written)
