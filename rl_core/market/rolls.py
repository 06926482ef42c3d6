"""Rolls from one futures contract to the next: no return is ever taken across one.

Bars of a future may have the column `contract`; where it changes, the series goes on in another
instrument. Shapes: B bars.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.market.bars import nanoseconds
from rl_core.market.settings import PRICE_COLUMNS

CONTRACT = "contract"
MAX_ROLL_PAUSE_NS = 4 * 86_400 * 10**9  # a gap over a longer pause says nothing about the roll


def rolls(bars: pd.DataFrame) -> NDArray[np.bool_]:
    """True on the first bar of another contract than the bar before, (B,)."""
    if CONTRACT not in bars:
        return np.zeros(len(bars), dtype=bool)
    contract = bars[CONTRACT].to_numpy()
    return np.concatenate([[False], contract[1:] != contract[:-1]])


def continuous_prices(bars: pd.DataFrame) -> pd.DataFrame:
    """The bars with later contracts scaled so that each opens where the one before closed.

    The factor of a bar depends on rolls up to it alone, so nothing is seen of the future. For
    returns and indicators, which have no scale; fills use the prices as they are.
    """
    roll = rolls(bars)
    if not roll.any():
        return bars
    open_price, close = bars["open"].to_numpy(), bars["close"].to_numpy()
    jump = np.ones(len(bars))
    at = np.flatnonzero(roll)
    jump[at] = close[at - 1] / open_price[at]
    factor = np.cumprod(jump)
    return bars.assign(**{name: bars[name].to_numpy() * factor for name in PRICE_COLUMNS})


def bad_rolls(bars: pd.DataFrame, session: NDArray[np.int64], max_gap: float) -> NDArray[np.bool_]:
    """Rolls that no exchange made, (B,): back to an earlier contract, inside a session, or too far.

    Args:
        bars: in order of time.
        session: (B,) index of each bar's session.
        max_gap: |open / close before - 1| at a roll between bars at most four days apart.
    """
    roll = rolls(bars)
    at = np.flatnonzero(roll)
    bad = np.zeros(len(bars), dtype=bool)
    if not len(at):
        return bad
    names = bars[CONTRACT].to_numpy()
    earlier = {names[0]}
    for row in at:
        bad[row] = names[row] in earlier
        earlier.add(names[row])
    open_price, close, ns = (
        bars["open"].to_numpy(),
        bars["close"].to_numpy(),
        nanoseconds(bars["timestamp"]),
    )
    gap = np.abs(open_price[at] / close[at - 1] - 1)
    is_near = ns[at] - ns[at - 1] <= MAX_ROLL_PAUSE_NS
    bad[at] |= ((gap > max_gap) & is_near) | (session[at] == session[at - 1])
    return bad
