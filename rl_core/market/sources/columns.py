"""What a table's columns mean: names as desks map them, or as exporters usually write them."""

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd

from rl_core.base.errors import TollgateError
from rl_core.market.settings import BarsConfig
from rl_core.market.sources.quotes import mid_of_quotes
from rl_core.market.sources.table import Table
from rl_core.market.sources.text import TWO_LEVELS

# names that mean the same, tidied as `_tidy` does, the likeliest first
USUAL_NAMES = {
    "timestamp": ("timestamp", "datetime", "date", "time", "open_time", "open time", "unix", "ts"),
    "open": ("open",),
    "high": ("high",),
    "low": ("low",),
    "close": ("close",),
    "volume": ("volume", "vol"),
}
# names of volumes that are not told apart from what was traded without being told
COUNTS = ("tickvol", "tick_volume", "ticks")
PERHAPS_VOLUME = ("vol", "amount", "qty", "quantity", "turnover")


def understood(table: Table, config: BarsConfig, *, keeps_impossible: bool = False) -> Table:
    """The same table with columns that are named as the contract names them, as far as known.

    What the desk maps is taken as mapped. Of what it does not map, a name that is usual for a
    column is taken for it; a date and a time in two columns become one; what `yf.download` writes,
    whose names have two levels, becomes one level. What was guessed stands in the notes.

    Raises:
        TollgateError: several tickers, of which none is the desk's.
    """
    table = _one_level(table, config)
    table = mid_of_quotes(table, config.columns, keeps_impossible=keeps_impossible)
    table = _date_and_time(table, config)
    mapped = {own: name for name, own in config.columns.items()}
    renamed: dict[str, str] = {}
    for name, usual in USUAL_NAMES.items():
        if name in config.columns or name in table.frame.columns:
            continue
        own = _first_of(usual, list(table.frame.columns), taken=mapped)
        if own is not None:
            renamed[own] = name
    if "volume" not in {*renamed.values(), *config.columns, *table.frame.columns}:
        unusual = _unusual_volume(list(table.frame.columns), config)
        if unusual is not None:
            renamed[unusual] = "volume"
    told = [
        f"column {own} is {name}" + (", a count of quotes" if _tidy(own) in COUNTS else "")
        for own, name in renamed.items()
        if own.lower() != name
    ]
    renamed |= {own: name for own, name in mapped.items() if own in table.frame.columns}
    # a column that has a contract's name, and is not what the desk maps to it, makes room
    clash = [n for n, own in config.columns.items() if own != n and n in table.frame.columns]
    clash = [n for n in clash if n not in renamed]
    frame = table.frame.drop(columns=clash).rename(columns=renamed)
    return replace(table, frame=frame, notes=[*table.notes, *told])


def _unusual_volume(columns: Sequence[object], config: BarsConfig) -> str | None:
    """A count of quotes where that is all there is; None for a market that reports no volume.

    Raises:
        TollgateError: a column may be the volume, and nothing says so.
    """
    if config.volume == "none":
        return None
    counts = [str(name) for name in columns if _tidy(name) in COUNTS]
    if counts:
        return counts[0]
    perhaps = [str(n) for n in columns if any(part in _tidy(n) for part in PERHAPS_VOLUME)]
    if perhaps:
        raise TollgateError(
            f"bars must have a column of volume, in units of the instrument, and "
            f"{', '.join(perhaps)} may be one: set bars.columns: {{volume: {perhaps[0]}}}, or "
            "bars.volume: none"
        )
    return None


def _tidy(name: object) -> str:
    return str(name).strip().strip("<>").strip().lower()


def _first_of(usual: Sequence[str], columns: Sequence[str], taken: dict[str, str]) -> str | None:
    tidied = {_tidy(name): name for name in reversed(list(columns)) if name not in taken}
    return next((tidied[name] for name in usual if name in tidied), None)


def _date_and_time(table: Table, config: BarsConfig) -> Table:
    """One column of times where a file has a date and a time of day in two."""
    names = {name: config.columns.get(name) for name in ("date", "time")}
    tidied = {_tidy(name): str(name) for name in table.frame.columns}
    if not all(names.values()):
        if "timestamp" in {*config.columns, *tidied} or not {"date", "time"} <= set(tidied):
            return table
        names = {name: tidied[name] for name in names}
    if missing := [own for own in names.values() if own not in table.frame.columns]:
        raise TollgateError(
            f"bars must have the columns {' and '.join(map(str, names.values()))}, was without "
            f"{', '.join(map(str, missing))}: set bars.columns"
        )
    date, time = (table.frame[own].astype(str).str.strip() for own in names.values())
    # 2024.02.05, as MetaTrader writes it
    date = date.str.replace(r"^(\d{4})[./](\d{2})[./](\d{2})$", r"\1-\2-\3", regex=True)
    others = table.frame.drop(columns=[*names.values(), "timestamp"], errors="ignore")
    frame = pd.concat([(date + " " + time).rename("timestamp"), others], axis=1)
    note = f"columns {names['date']} and {names['time']} are joined"
    return replace(table, frame=frame, notes=[*table.notes, note])


def _one_level(table: Table, config: BarsConfig) -> Table:
    """What `yf.download` writes: columns of two levels, in a CSV three lines of header."""
    frame = table.frame
    if isinstance(frame.columns, pd.MultiIndex):
        tickers = list(zip(*frame.columns, strict=True))[-1]
        found = sorted({str(t) for t in tickers if str(t)})
        ticker = _ticker(found, config)
        keep = [number for number, own in enumerate(tickers) if not str(own) or str(own) == ticker]
        names = [str(frame.columns[number][0]) for number in keep]
        flat = frame.iloc[:, keep].set_axis(names, axis=1)
        return replace(table, frame=flat, notes=[*table.notes, f"columns of ticker {ticker}"])
    if len(frame) < 2 or _tidy(frame.columns[0]) != TWO_LEVELS:
        return table
    first = frame.iloc[:, 0].astype(str).map(_tidy)
    if first.iloc[0] != "ticker" or (frame.iloc[1, 1:].astype(str) != "").any():
        return table
    ticker = _ticker(sorted({str(cell) for cell in frame.iloc[0, 1:]}), config)
    keep = [0, *(n for n in range(1, frame.shape[1]) if str(frame.iloc[0, n]) == ticker)]
    below = frame.iloc[2:, keep].set_axis(
        [str(name).split(".")[0] for name in frame.columns[keep]], axis=1
    )
    rows = table.rows[2:]
    repeats = below.iloc[:, 0].astype(str).map(_tidy).isin(USUAL_NAMES["timestamp"]).to_numpy()
    below = below[~repeats].reset_index(drop=True)
    if "timestamp" not in config.columns:
        below = below.rename(columns={below.columns[0]: "timestamp"})
    notes = [*table.notes, f"three header lines, columns of ticker {ticker}"]
    return replace(table, frame=below, rows=rows[~repeats], notes=notes)


def _ticker(found: Sequence[str], config: BarsConfig) -> str:
    if len(found) == 1:
        return found[0]
    if config.symbol in found:
        return config.symbol
    raise TollgateError(
        f"bars.symbol must be one of the file's tickers ({', '.join(found[:8])}), was "
        f"{config.symbol}"
    )
