"""Bars that a source quotes on both sides: bid and ask, of which bars have the mid and the spread.

Shapes: R rows.
"""

import re
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pandas as pd

from rl_core.base.errors import TollgateError
from rl_core.market.bars import describe_rows
from rl_core.market.settings import HALF_SPREAD, PRICE_COLUMNS, SIDES
from rl_core.market.sources.cells import parse_numbers
from rl_core.market.sources.table import Table

# bid_open, BidOpen, open.bid, bid o: a side and a price, in either order
_SIDE, _PRICE = r"(?P<side>bid|ask)", r"(?P<price>open|high|low|close|[ohlc])"
_NAMES = [re.compile(f"{first}[ _.-]?{then}") for first, then in ((_SIDE, _PRICE), (_PRICE, _SIDE))]
_LETTERS = {name[0]: name for name in PRICE_COLUMNS}


def mid_of_quotes(
    table: Table, mapped: Mapping[str, str], *, keeps_impossible: bool = False
) -> Table:
    """The same table with mids as prices and half the spread, if both sides are quoted.

    A mid is the mean of bid and ask, so bars whose sides are bars are bars themselves. The spread
    is that of the open, at which orders fill: (ask - bid) / 2 as a fraction of the mid.

    Args:
        table: as it was read.
        mapped: contract name -> name in the file, as the desk says; a price that it maps is taken.
        keeps_impossible: read a quote that cannot be as NaN, since its bar will be left out.

    Raises:
        TollgateError: a quote is no number, or an ask is below its bid.
    """
    quotes = _quotes_of(table.frame, mapped)
    if not quotes or set(mapped) & set(PRICE_COLUMNS):
        return table
    if set(PRICE_COLUMNS) <= {str(name).strip().strip("<>").lower() for name in table.frame}:
        note = "prices stand beside quotes of both sides: those are taken, and no spread is read"
        return replace(table, notes=[*table.notes, note])
    frame = table.frame.copy(deep=False)
    half = pd.Series(np.zeros(len(frame)))
    for price in PRICE_COLUMNS:
        own = [quotes[f"{side}_{price}"] for side in SIDES]
        bid, ask = (
            parse_numbers(table.frame[name], name, table.rows, keeps_others=keeps_impossible)
            for name in own
        )
        crossed = np.flatnonzero((ask < bid).to_numpy())
        if len(crossed) and keeps_impossible:
            bid = bid.where(ask >= bid)
        elif len(crossed):
            raise TollgateError(
                f"an ask must not be below its bid, was {ask.iloc[crossed[0]]:g} below "
                f"{bid.iloc[crossed[0]]:g} in {own[1]} ({describe_rows(table.rows[crossed])}): "
                "mend them, or map the prices to one side in bars.columns"
            )
        frame[price] = (bid + ask) / 2
        if price == "open":
            half = (ask - bid) / 2 / frame[price]
    frame[HALF_SPREAD] = half
    note = (
        f"{quotes['bid_open']} to {quotes['ask_close']} are quotes: prices are their mids, and "
        f"half the spread of its bar is paid by each fill (median {half.median():.3%})"
    )
    return replace(table, frame=frame, notes=[*table.notes, note])


def _quotes_of(frame: pd.DataFrame, mapped: Mapping[str, str]) -> dict[str, str]:
    """Quote such as bid_open -> its name in the file; empty unless all eight are there."""
    wanted = [f"{side}_{price}" for side in SIDES for price in PRICE_COLUMNS]
    found = {name: own for name, own in mapped.items() if name in wanted and own in frame.columns}
    for own in map(str, frame.columns):
        for pattern in _NAMES:
            if match := pattern.fullmatch(own.strip().strip("<>").lower()):
                price = _LETTERS.get(match["price"], match["price"])
                found.setdefault(f"{match['side']}_{price}", own)
    return found if len(found) == len(wanted) else {}
