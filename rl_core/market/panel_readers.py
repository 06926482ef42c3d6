"""Readers of wide and long panels. Like the readers of bars they repair nothing.

Shapes: T sessions, S stocks.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.base.units import NS_PER_DAY
from rl_core.market.bars import LARGEST_FLOAT32, describe_rows, nanoseconds
from rl_core.market.panel import FEWEST_STOCKS, FIRST_DAY_NS, MOST_STOCKS, Panel, RawPanel, date_of
from rl_core.market.sessions import session_days
from rl_core.market.settings import MEASURES, OPTIONAL_MEASURES, PanelConfig
from rl_core.market.sources.cells import parse_names, parse_numbers, parse_timestamps
from rl_core.market.sources.table import Rows, read_source_table


def read_panel(config: PanelConfig, root: Path) -> RawPanel:
    """Read a desk's panel and hold it to the contract.

    Raises:
        TollgateError: the file cannot be read, or it breaks the contract; says where.
    """
    read, path = read_source_table(config, root)
    table, rows = read.frame, read.rows
    if table.empty:
        raise TollgateError(f"bars must have at least one row, was none in {path}")
    is_long = config.layout == "long" or (
        config.layout is None and config.name_in_file("symbol") in table.columns
    )
    raw = _read_long(table, rows, config, path) if is_long else _read_wide(table, rows, config)
    raw = replace(raw, notes=tuple(read.notes))
    _require_universe(raw.panel.symbols, path)
    _require_values(raw)
    return raw


def _days(column: pd.Series, config: PanelConfig, rows: Rows) -> NDArray[np.int64]:
    """Midnight, UTC, of the date of each row."""
    local = parse_timestamps(column, config, rows).dt.tz_convert(config.timezone)
    days = nanoseconds(local.dt.tz_localize(None))
    wrong = np.flatnonzero(days % NS_PER_DAY)
    if len(wrong):
        raise TollgateError(
            f"timestamps of a panel must be dates, was {local.iloc[wrong[0]]} "
            f"({describe_rows(rows[wrong])}): set bars.timezone to the zone in which they are "
            "midnight"
        )
    if len(early := np.flatnonzero(days < FIRST_DAY_NS)):
        raise TollgateError(
            f"days of a panel must be after 1900, was {date_of(days[early[0]])} "
            f"({describe_rows(rows[early])})"
        )
    return days


def _on_calendar(
    days: NDArray[np.int64], config: PanelConfig, rows: Rows
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Numbers of the sessions that there are, on the calendar from the first, and each row's place.

    Raises:
        TollgateError: a day that is no session.
    """
    sessions = session_days(config.calendar, int(days.min()), int(days.max()))
    number = np.minimum(np.searchsorted(sessions, days), max(len(sessions) - 1, 0))
    wrong = np.flatnonzero(sessions[number] != days) if len(sessions) else np.arange(len(days))
    if len(wrong):
        raise TollgateError(
            f"days of a panel must be sessions of {config.calendar}, was "
            f"{date_of(days[wrong[0]])} ({describe_rows(rows[wrong])}): set "
            "bars.calendar to the market's own, or to 24/7"
        )
    found, place = np.unique(number, return_inverse=True)
    return found, place


def _read_wide(table: pd.DataFrame, rows: Rows, config: PanelConfig) -> RawPanel:
    """A column a stock; an empty cell is a stock that did not trade."""
    time = config.name_in_file("timestamp")
    if time not in table.columns:
        raise TollgateError(
            f"a wide panel must have the column {time}, was without (it has "
            f"{', '.join(map(str, table.columns[:5]))}, ...): set bars.columns"
        )
    if len(config.columns) > ("timestamp" in config.columns):
        others = ", ".join(sorted(set(config.columns) - {"timestamp"}))
        raise TollgateError(
            f"columns of a wide panel may only map timestamp, was {others}: the others are stocks"
        )
    if reserved := sorted({"symbol", "open", "high", "low", *MEASURES} & set(table.columns)):
        raise TollgateError(
            f"columns of a wide panel must be stocks, was {', '.join(reserved)}: use the long "
            "layout for more than closes"
        )
    days = _days(table[time], config, rows)
    steps = np.diff(days)
    is_newest_first = bool(len(steps) and (steps < 0).all())
    if not is_newest_first and (wrong := np.flatnonzero(steps <= 0)).size:
        raise TollgateError(
            "rows of a wide panel must be strictly increasing in time, was "
            f"{date_of(days[wrong[0] + 1])} after "
            f"{date_of(days[wrong[0]])} ({describe_rows(rows[wrong + 1])}): sort the file by time"
        )
    symbols = sorted(str(name) for name in table.columns if name != time)
    close = np.stack([_parse_cells(table[name], name, rows) for name in symbols], axis=1)
    has_price = np.isfinite(close).any(axis=1)  # a day without any price is no row of a panel
    if not has_price.any():
        raise TollgateError(f"a panel must have prices, was without any in {len(days)} rows")
    kept = np.flatnonzero(has_price)[:: -1 if is_newest_first else 1]
    days, rows, close = days[kept], rows[kept], close[kept]
    sessions, _ = _on_calendar(days, config, rows)
    panel = Panel(days, sessions, tuple(symbols), {"close": close})
    return RawPanel(panel, np.where(np.isfinite(close), rows[:, None], -1), is_newest_first)


def _parse_cells(column: pd.Series, symbol: str, rows: Rows) -> NDArray[np.float64]:
    """Numbers, NaN where a cell is empty."""
    is_empty = column.isna() | (column.astype(str) == "")
    numbers = pd.to_numeric(column.mask(is_empty), errors="coerce").to_numpy(np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers) & ~is_empty.to_numpy())
    if len(bad):
        raise TollgateError(
            f"{symbol} must hold finite numbers or empty cells, was {column.iloc[bad[0]]!r} "
            f"({describe_rows(rows[bad])})"
        )
    return numbers


def _read_long(table: pd.DataFrame, rows: Rows, config: PanelConfig, path: Path) -> RawPanel:
    """A row a stock and day, in any order."""
    named = {name: config.name_in_file(name) for name in ("timestamp", "symbol", *MEASURES)}
    needed = [n for n in named if n not in OPTIONAL_MEASURES or n in config.columns]
    if missing := [named[name] for name in needed if named[name] not in table.columns]:
        raise TollgateError(
            f"{path.name} must have the columns {', '.join(named[n] for n in needed)}, was without "
            f"{', '.join(missing)} (it has {', '.join(map(str, table.columns))}): set bars.columns"
        )
    days = _days(table[named["timestamp"]], config, rows)
    names = parse_names(table[named["symbol"]], "symbol", rows)
    sessions, place = _on_calendar(days, config, rows)
    code, symbols = pd.factorize(names, sort=True)
    cell = place * len(symbols) + code
    order = np.argsort(cell, kind="stable")
    twice = np.flatnonzero(np.diff(cell[order]) == 0)
    if len(twice):
        first, second = order[twice[0]], order[twice[0] + 1]
        raise TollgateError(
            f"a panel must have one row a stock and day, was {names.iloc[first]} on "
            f"{date_of(days[first])} twice ({describe_rows(rows[[first, second]])})"
        )

    def spread(values: NDArray[Any], blank: float) -> NDArray[Any]:
        cells = np.full(len(sessions) * len(symbols), blank, dtype=values.dtype)
        cells[cell] = values
        return cells.reshape(len(sessions), len(symbols))

    measures = {
        "close": spread(parse_numbers(table[named["close"]], "close", rows).to_numpy(), np.nan)
    }
    for name in OPTIONAL_MEASURES:
        if named[name] in table.columns:
            measures[name] = spread(_parse_cells(table[named[name]], name, rows), np.nan)
    panel = Panel(np.unique(days), sessions, tuple(map(str, symbols)), measures)
    return RawPanel(panel, spread(rows.astype(np.int64), -1), was_newest_first=False)


def _require_universe(symbols: tuple[str, ...], path: Path) -> None:
    if untidy := [name for name in symbols if name != name.strip()]:
        raise TollgateError(
            f"symbols in {path.name} must have no space around them, was {untidy[0]!r}"
        )
    if len(set(symbols)) < len(symbols):
        raise TollgateError(f"{path.name} must name each stock once, was {', '.join(symbols)}")
    if not FEWEST_STOCKS <= len(symbols) <= MOST_STOCKS:
        raise TollgateError(
            f"a universe must have {FEWEST_STOCKS} to {MOST_STOCKS} stocks, was {len(symbols)} in "
            f"{path.name}"
        )


def _require_values(raw: RawPanel) -> None:
    """Prices > 0, volumes >= 0, all of them small enough for the device."""
    for name, values in raw.panel.measures.items():
        may_be_zero = name in {"volume", "traded_value"}
        lowest_allowed = 0 if may_be_zero else np.nextafter(0, 1)
        with np.errstate(invalid="ignore"):
            wrong = (values < lowest_allowed) | (values > LARGEST_FLOAT32)
        if wrong.any():
            session, stock = (int(place) for place in np.argwhere(wrong)[0])
            must = "a finite number >= 0" if may_be_zero else "a finite number > 0"
            raise TollgateError(
                f"panel column {name} must be {must}, was {values[session, stock]} of "
                f"{raw.panel.symbols[stock]} ({describe_rows(np.unique(raw.rows[wrong]))})"
            )
    silent = ~np.isfinite(raw.panel.close).any(axis=0)
    if silent.any():
        raise TollgateError(
            "every stock of a panel must have a price, was none of "
            f"{', '.join(np.array(raw.panel.symbols)[silent])}"
        )
