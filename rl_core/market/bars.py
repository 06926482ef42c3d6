"""The bar contract: what every reader must deliver and everything downstream may rely on.

A frame of bars has the columns `timestamp` (datetime64[ns, UTC], the interval's opening time,
strictly increasing), `open high low close` (float64, > 0, low <= open, close <= high) and
`volume` (float64, >= 0; NaN in every row of a market that reports none). Besides, a future may have
`contract` (text), and a market that is quoted on both sides `half_spread` (float64, 0 to 0.1: half
of ask less bid at the open, as a fraction of the mid; prices are mids then). Shapes: B bars.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.market.sessions import trading_hours
from rl_core.market.settings import (
    COLUMNS,
    HALF_SPREAD,
    OPTIONAL_COLUMNS,
    PRICE_COLUMNS,
    BarsConfig,
    SessionConfig,
)

MOST_NAMED = 8  # columns in a message
LARGEST_FLOAT32 = 3.4e38  # beyond it a price turns to infinity on the device


def nanoseconds(timestamps: pd.Series) -> NDArray[np.int64]:
    """Timestamps as (B,) nanoseconds since 1970, UTC."""
    return timestamps.dt.as_unit("ns").astype("int64").to_numpy()


def has_volume(bars: pd.DataFrame) -> bool:
    """True if the market reports what is traded; where it does not, every bar's volume is NaN.

    A zero is a report: nothing was traded. So no later bar can change what an earlier one says.
    """
    return bool(bars["volume"].notna().any())


def half_spread(bars: pd.DataFrame) -> NDArray[np.float64]:
    """Half of the quoted spread at each bar's open, fraction of the mid, (B,); 0 without quotes."""
    return bars[HALF_SPREAD].to_numpy() if HALF_SPREAD in bars else np.zeros(len(bars))


def describe_rows(rows: NDArray[np.int64] | list[int], limit: int = 5) -> str:
    """`rows 3, 4, 5 and 12 more`: row numbers as an error message shows them."""
    shown = ", ".join(str(row) for row in rows[:limit])
    more = f" and {len(rows) - limit} more" if len(rows) > limit else ""
    return f"{'row' if len(rows) == 1 else 'rows'} {shown}{more}"


LARGEST_HALF_SPREAD = 0.1  # of the mid: more is a spread in units of price
_NUMBERS = dict.fromkeys(PRICE_COLUMNS, "a finite number > 0") | {
    "volume": "a finite number >= 0",
    HALF_SPREAD: f"a fraction of the price from 0 to {LARGEST_HALF_SPREAD}",
}
_TYPES = {
    "timestamp": "datetime64[ns, UTC]",
    **dict.fromkeys(_NUMBERS, "float64"),
    "contract": "str",
}


def require_bar_contract(
    bars: pd.DataFrame, row_numbers: NDArray[np.int64] | None = None
) -> pd.DataFrame:
    """Return the bars unchanged, or say what is wrong with them.

    Args:
        bars: frame with the contract's columns.
        row_numbers: (B,) where each row stands in its file, for the messages.

    Raises:
        TollgateError: on the first class of defect, with the row numbers.
    """
    if bars.empty:
        raise TollgateError("bars must have at least one row, was an empty table")
    numbers = np.arange(len(bars)) if row_numbers is None else row_numbers
    _require_values(bars, numbers)
    _require_order(bars, numbers)
    for rule, rows in ohlc_contradictions(bars).items():
        if len(rows):
            raise TollgateError(f"bars must have {rule}, was not in {describe_rows(numbers[rows])}")
    return bars


def require_interval(bars: pd.DataFrame, interval_ns: int) -> pd.DataFrame:
    """Return the bars unchanged if most of them are one interval apart.

    Raises:
        TollgateError: they are of another bar size than the desk says.
    """
    steps = np.diff(nanoseconds(bars["timestamp"]))
    if len(steps) and np.median(steps) != interval_ns:
        raise TollgateError(
            f"bars must be {pd.Timedelta(interval_ns)} apart, was {pd.Timedelta(np.median(steps))} "
            "in the median: set bars.interval"
        )
    return bars


def inside_sessions(
    bars: pd.DataFrame, config: BarsConfig, row_numbers: NDArray[np.int64] | None = None
) -> pd.DataFrame:
    """The bars that lie inside the sessions; all of them, unless the desk drops others.

    Raises:
        TollgateError: some lie outside, and the desk does not say what to do.
    """
    if config.sessions is None:
        return bars
    ns = nanoseconds(bars["timestamp"])
    regular = SessionConfig(calendar=config.sessions.regular_calendar)
    trading_hours(regular, ns, config.interval_ns)  # says if there is no such calendar
    is_open = trading_hours(config.sessions, ns, config.interval_ns).is_open(ns)
    if not is_open.all() and not config.sessions.drop_outside:
        numbers = np.arange(len(bars)) if row_numbers is None else row_numbers
        outside = np.flatnonzero(~is_open)
        raise TollgateError(
            f"bars must lie inside the sessions of {config.sessions.calendar}, was "
            f"{bars['timestamp'].iloc[outside[0]]:%Y-%m-%d %H:%M} UTC "
            f"({describe_rows(numbers[outside])}): set bars.sessions.drop_outside to leave them "
            "out, or bars.sessions.daily_break_minutes"
        )
    if not is_open.any():
        raise TollgateError(
            f"bars must lie inside the sessions of {config.sessions.calendar}, was not one"
        )
    return bars[is_open].reset_index(drop=True)


def ohlc_contradictions(bars: pd.DataFrame) -> dict[str, NDArray[np.int64]]:
    """Row positions that break `low <= open, close <= high`, by rule."""
    open_, high, low, close = (bars[name].to_numpy() for name in PRICE_COLUMNS)
    return {  # a NaN contradicts nothing
        "high >= open and close": np.flatnonzero(high < np.fmax(open_, close)),
        "low <= open and close": np.flatnonzero(low > np.fmin(open_, close)),
    }


def _require_values(bars: pd.DataFrame, numbers: NDArray[np.int64]) -> None:
    """Columns, their types, and the range of each number."""
    wanted = [*COLUMNS, *(name for name in OPTIONAL_COLUMNS if name in bars.columns)]
    if list(bars.columns) != wanted:
        raise TollgateError(
            f"bars must have the columns {', '.join(wanted)}, was "
            f"{', '.join(repr(str(name)) for name in bars.columns[:MOST_NAMED])}"
        )
    for name in wanted:
        if str(bars[name].dtype) != _TYPES[name]:
            raise TollgateError(
                f"bars column {name} must be of type {_TYPES[name]}, was {bars[name].dtype}"
            )
    if len(unknown := np.flatnonzero(bars["timestamp"].isna())):
        raise TollgateError(
            "bars column timestamp must be a timestamp, was NaT "
            f"({describe_rows(numbers[unknown])})"
        )
    for name, must in _NUMBERS.items():
        if name in bars and len(wrong := np.flatnonzero(_out_of_range(bars, name))):
            raise TollgateError(
                f"bars column {name} must be {must}, was {bars[name].iloc[wrong[0]]} "
                f"({describe_rows(numbers[wrong])})"
            )


def _out_of_range(bars: pd.DataFrame, name: str) -> NDArray[np.bool_]:
    """Where a column of numbers is outside its range, (B,); NaN is."""
    values = bars[name].to_numpy()
    if name == "volume" and not has_volume(bars):
        return np.zeros(len(bars), dtype=bool)
    low = values > 0 if name in PRICE_COLUMNS else values >= 0
    return ~(low & (values <= (LARGEST_HALF_SPREAD if name == HALF_SPREAD else LARGEST_FLOAT32)))


def impossible(bars: pd.DataFrame) -> NDArray[np.bool_]:
    """Bars with a number that is none, or out of range, or that contradicts its bar, (B,)."""
    found = np.zeros(len(bars), dtype=bool)
    for name in _NUMBERS:
        if name in bars:
            found |= _out_of_range(bars, name)
    found[np.concatenate(list(ohlc_contradictions(bars).values()))] = True
    return found


def _require_order(bars: pd.DataFrame, numbers: NDArray[np.int64]) -> None:
    timestamps = bars["timestamp"]
    ns = nanoseconds(timestamps)
    wrong = np.flatnonzero(np.diff(ns) <= 0)
    if not len(wrong):
        return
    row = int(wrong[0])
    if ns[row] == ns[row + 1]:
        was = f"{timestamps.iloc[row]:%Y-%m-%d %H:%M} twice"
        hint = ": set bars.drop_duplicates if such rows say the same"
    else:
        hint = ": set bars.sort if the rows are only out of order"
        was = (
            f"{timestamps.iloc[row + 1]:%Y-%m-%d %H:%M} after {timestamps.iloc[row]:%Y-%m-%d %H:%M}"
        )
    more = f", and {len(wrong) - 1} more such places" if len(wrong) > 1 else ""
    rows = describe_rows(numbers[row : row + 2])
    raise TollgateError(f"bars must be strictly increasing in time, was {was} ({rows}){more}{hint}")
