"""Cells as times, numbers and names. Shapes: R rows."""

import numpy as np
import pandas as pd

from rl_core.base.errors import TollgateError
from rl_core.base.units import NS_PER_SECOND
from rl_core.market.bars import describe_rows
from rl_core.market.settings import SourceConfig
from rl_core.market.sources.advice import AdvisedError
from rl_core.market.sources.table import Rows

NS_PER_MS = 1_000_000
_UNITS = {"s": 10, "ms": 13, "us": 16, "ns": 19}  # digits of an epoch of our time


def parse_timestamps(column: pd.Series, config: SourceConfig, rows: Rows) -> pd.Series:
    """Times as UTC, (R,), as they stand in the file.

    Raises:
        TollgateError: a cell that is none, with its row, and the setting that would read it.
    """
    if config.timestamp_unit is not None:
        return _epochs(column, config.timestamp_unit, rows)
    text = column.astype(str) if not pd.api.types.is_datetime64_any_dtype(column) else None
    if text is not None and config.timestamp_format is None:
        _refuse_epochs(text, rows)
    expected = config.timestamp_format or "ISO8601"
    if "%s" in expected.replace("%%", ""):
        raise TollgateError(
            "bars.timestamp_format must not use %s, which reads the machine's own time zone: set "
            "bars.timestamp_unit: s"
        )
    try:
        parsed = pd.to_datetime(column, format=expected, errors="coerce")
    except (ValueError, OverflowError, KeyError):  # several offsets, or a format that is none
        try:
            parsed = pd.to_datetime(column, format=expected, errors="coerce", utc=True)
        except (ValueError, OverflowError, KeyError) as error:
            raise TollgateError(
                f"bars.timestamp_format must be one that strptime reads, was {expected}: {error}"
            ) from None
    bad = np.flatnonzero(parsed.isna())
    if len(bad):
        raise TollgateError(
            f"timestamps must read as {config.timestamp_format or 'ISO 8601'}, "
            f"was {column.iloc[bad[0]]!r} ({describe_rows(rows[bad])})"
        )
    return _as_utc(parsed, config, rows)


def _as_utc(parsed: pd.Series, config: SourceConfig, rows: Rows) -> pd.Series:
    try:
        if parsed.dt.tz is None:
            ambiguous = "infer" if config.ambiguous == "infer" else "raise"
            parsed = parsed.dt.tz_localize(config.timezone, ambiguous=ambiguous)
        return parsed.dt.tz_convert("UTC").dt.as_unit("ns")
    except (ValueError, OverflowError):
        pass
    naive = parsed if parsed.dt.tz is None else parsed.dt.tz_localize(None)
    try:
        naive.dt.as_unit("ns")
    except (ValueError, OverflowError):
        raise TollgateError("timestamps must be after 1677 and before 2262, was beyond") from None
    twice = naive.dt.tz_localize(config.timezone, ambiguous="NaT", nonexistent="shift_forward")
    never = naive.dt.tz_localize(config.timezone, ambiguous=False, nonexistent="NaT")
    wrong = np.flatnonzero(never.isna())
    if len(wrong):
        raise TollgateError(
            f"timestamps must exist in {config.timezone}, was {naive.iloc[wrong[0]]} "
            f"({describe_rows(rows[wrong])}), an hour that the clock change skips: set "
            "bars.timezone to the zone that the file is kept in"
        )
    wrong = np.flatnonzero(twice.isna())
    how = (
        "cannot be told from its neighbours: the hour must stand twice, in order"
        if config.ambiguous == "infer"
        else "the clock change repeats it: set bars.ambiguous: infer if the hour stands twice in "
        "the file, or bars.timezone to the zone that it is kept in"
    )
    raise AdvisedError(
        f"timestamps must exist once in {config.timezone}, was {naive.iloc[wrong[0]]} "
        f"({describe_rows(rows[wrong])}); {how}",
        ambiguous="infer",
    )


def _epochs(column: pd.Series, unit: str, rows: Rows) -> pd.Series:
    """Times from numbers since 1970, exact to the nanosecond."""
    numbers = parse_numbers(column, "timestamp", rows)
    factor = NS_PER_SECOND // {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}[unit]
    wrong = np.flatnonzero(numbers.abs() >= 2**63 / factor)
    if len(wrong):
        raise TollgateError(
            f"timestamps must be {unit} since 1970 and before 2262, was {column.iloc[wrong[0]]} "
            f"({describe_rows(rows[wrong])}): set another bars.timestamp_unit"
        )
    is_whole = bool((numbers == numbers.round()).all())
    if is_whole and not pd.api.types.is_float_dtype(column):  # whole numbers stay exact
        whole = column.astype(str).str.split(".").str[0].astype("int64") * factor
    else:  # a float knows a second of our time to a quarter of a microsecond: to the millisecond
        whole = (numbers * factor / NS_PER_MS).round().astype("int64") * NS_PER_MS
    times = pd.to_datetime(whole, unit="ns", utc=True).dt.as_unit("ns")
    if times.iloc[-1].year == 1970:
        raise TollgateError(
            f"timestamps must be {unit} since 1970, was {column.iloc[-1]} "
            f"({describe_rows(rows[-1:])}), which is {times.iloc[-1]:%Y-%m-%d}: set another "
            "bars.timestamp_unit"
        )
    return times


def _refuse_epochs(text: pd.Series, rows: Rows) -> None:
    """Numbers are not guessed to be times, but what they most likely are is offered."""
    first = text.iloc[0].strip().split(".")[0]
    if not first.isdecimal() or len(first) < min(_UNITS.values()) - 1 or len(first) == 14:
        return
    unit = min(_UNITS, key=lambda unit: abs(_UNITS[unit] - len(first)))
    when = pd.to_datetime(int(first), unit=unit, utc=True, errors="coerce")  # pyright: ignore[reportCallIssue,reportArgumentType]
    if len(first) in {8, 10, 12} and first[:2] in {"19", "20"} and int(first[4:6]) in range(1, 13):
        raise TollgateError(
            f"timestamps must be times, was {text.iloc[0]} ({describe_rows(rows[:1])}): set "
            "bars.timestamp_format, such as %Y%m%d%H, or bars.timestamp_unit if it is an epoch"
        )
    raise AdvisedError(
        f"timestamps must be times, was the number {text.iloc[0]} ({describe_rows(rows[:1])}): set "
        f"bars.timestamp_unit: {unit} if it means {when:%Y-%m-%d %H:%M} UTC",
        timestamp_unit=unit,
    )


def parse_names(column: pd.Series, name: str, rows: Rows) -> pd.Series:
    """Texts, (R,), none of them empty.

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


def parse_numbers(
    column: pd.Series, name: str, rows: Rows, *, keeps_others: bool = False
) -> pd.Series:
    """Finite numbers as float64, (R,).

    Args:
        column: cells.
        name: of the column, for the message.
        rows: where each cell stands.
        keeps_others: leave what is no number as NaN, to be dealt with by its bar.

    Raises:
        TollgateError: a cell that is none, with its row.
    """
    numbers = pd.to_numeric(column, errors="coerce").astype("float64")
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad) and not keeps_others:
        raise TollgateError(
            f"bars column {name} must hold finite numbers, was {column.iloc[bad[0]]!r} "
            f"({describe_rows(rows[bad])})"
        )
    return numbers
