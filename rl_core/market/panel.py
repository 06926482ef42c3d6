"""The panel contract: daily closes of many stocks, what every reader must deliver.

A frame of a panel has one row a stock and session, ordered by both: `timestamp` (datetime64[ns,
UTC], midnight of the session's date), `session` (int32, its number on the calendar from 0),
`symbol` (category), `close` (float64, > 0, adjusted for splits and dividends), and where the source
has them `volume` (shares) and `unadjusted_close` (what a share cost), both as they were that day,
`traded_value` and `market_value` (account currency). A stock that did not trade has no row.
Shapes: T sessions, S stocks.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.units import NS_PER_DAY
from rl_core.market.settings import MEASURES

Array = NDArray[np.float64]

FEWEST_STOCKS, MOST_STOCKS = 3, 500
FIRST_DAY_NS = -25_567 * NS_PER_DAY  # 1900-01-01, from which draws of slippage are counted


def date_of(ns: Any) -> str:
    """A session day as text, YYYY-MM-DD."""
    return str(np.datetime64(int(ns), "ns").astype("datetime64[D]"))


@dataclass(frozen=True)
class Panel:
    """A panel as arrays; NaN where a stock did not trade or a measure is not known."""

    ns: NDArray[np.int64]  # (T,) midnight of each session that the source has
    session: NDArray[np.int64]  # (T,) its number on the calendar, from 0: a hole is a jump
    symbols: tuple[str, ...]  # S, in alphabetical order
    measures: dict[str, Array]  # name -> (T, S); `close`, and what else the source has

    @property
    def close(self) -> Array:
        """(T, S) closes, adjusted for splits and dividends."""
        return self.measures["close"]

    @classmethod
    def from_frame(cls, frame: pd.DataFrame) -> Self:
        """Spread a frame of one row a stock and day into a panel."""
        symbols = frame["symbol"].cat.remove_unused_categories()
        session = frame["session"].to_numpy(np.int64)
        is_first = np.concatenate([[True], session[1:] != session[:-1]])
        cell = (np.cumsum(is_first) - 1, symbols.cat.codes.to_numpy(np.int64))
        shape = (int(is_first.sum()), len(symbols.cat.categories))
        measures: dict[str, Array] = {}
        for name in [name for name in MEASURES if name in frame.columns]:
            measures[name] = np.full(shape, np.nan)
            measures[name][cell] = frame[name].to_numpy()
        days = frame["timestamp"].dt.as_unit("ns").astype("int64").to_numpy()
        names = tuple(map(str, symbols.cat.categories))
        return cls(days[is_first], session[is_first], names, measures)

    def to_frame(self) -> pd.DataFrame:
        """The rows of the stocks that traded."""
        row, column = np.nonzero(np.isfinite(self.close))
        return pd.DataFrame(
            {
                "timestamp": pd.to_datetime(self.ns[row], utc=True).as_unit("ns"),
                "session": self.session[row].astype(np.int32),
                "symbol": pd.Categorical.from_codes(
                    column, dtype=pd.CategoricalDtype(list(self.symbols))
                ),
                **{name: values[row, column] for name, values in self.measures.items()},
            }
        )


@dataclass(frozen=True)
class Listing:
    """Who can be traded when, each (T, S); row t is known at the close of session t.

    A stock that has had no price for a while is taken to have left; nobody looks ahead to see
    whether it comes back. If it does, it enters anew.
    """

    trades: NDArray[np.bool_]  # has a price of this session
    is_listed: NDArray[np.bool_]  # has traded, and not left since
    leaves: NDArray[np.bool_]  # leaves in this session: holders get its last price
    price: Array  # the last known; 1 before the first


def listing(close: Array, delisted_after_sessions: int) -> Listing:
    """Follow each stock through its sessions.

    Args:
        close: (T, S), NaN where a stock did not trade.
        delisted_after_sessions: without a price.
    """
    trades = np.isfinite(close)
    row = np.arange(len(close))[:, None]
    last = np.maximum.accumulate(np.where(trades, row, -1), axis=0)
    is_listed = (last >= 0) & (row - last < delisted_after_sessions)
    was_listed = np.vstack([np.zeros((1, close.shape[1]), dtype=bool), is_listed[:-1]])
    price = np.take_along_axis(close, np.maximum(last, 0), axis=0)
    return Listing(
        trades=trades,
        is_listed=is_listed,
        leaves=was_listed & ~is_listed,
        price=np.where(last >= 0, price, 1.0),
    )


@dataclass(frozen=True)
class RawPanel:
    """A panel on its calendar, and where each price stands in the file."""

    panel: Panel
    rows: NDArray[np.int64]  # (T, S) line of a CSV, else the row counted from 0; -1 without a price
    was_newest_first: bool
    notes: tuple[str, ...] = ()  # how the source was understood
