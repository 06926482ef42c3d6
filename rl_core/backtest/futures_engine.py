"""The same walk for a futures account: every entry carries a bracket, the rulebook watches.

Shapes: B bars. Row t of every column belongs to the decision at the close of bar t.
"""

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from rl_core.trading.brackets import Account, Bar, Rulebook, Terms, new_account, trade_bar

Array = NDArray[np.float64]

# the account at each decision, then what came of the decision in the next bar
ACCOUNT_COLUMNS = Account._fields
OUTCOME_COLUMNS = (
    "enters", "fill_price", "stop_loss", "take_profit", "exit", "exit_price", "closes",
    "trade_pnl", "cost", "broken_rules",
)  # fmt: skip


def walk_future(
    bars: pd.DataFrame,
    atr: Array,
    starts: NDArray[np.bool_],
    ends: NDArray[np.bool_],
    action: NDArray[np.int8],
    strength: Array,
    terms: Terms,
    rules: Rulebook,
) -> dict[str, Array]:
    """Trade the decisions through the bars.

    Args:
        bars: (B,) bars that meet the contract.
        atr: (B,) points, known at each close.
        starts: (B,) first bar of a session or contract.
        ends: (B,) last one.
        action: (B,) HOLD, BUY or SELL, taken at each close.
        strength: (B,) in [0, 1].
        terms: of the contract.
        rules: of the account.

    Returns:
        ACCOUNT_COLUMNS at each decision and OUTCOME_COLUMNS in the bar after it, (B,) each. The
        bracket stands where an entry filled, the exit where a trade ended, else NaN;
        `broken_rules` is a sum of 1, 2, 4, 8 for the rules of `brackets.RULES`.
    """
    prices = np.column_stack([bars[name] for name in ("open", "high", "low", "close")])
    rows = _walk(
        prices, atr, starts, ends, action, strength, terms, rules,
        new_account(0.0, rules.initial_cash),
    )  # fmt: skip
    return dict(zip((*ACCOUNT_COLUMNS, *OUTCOME_COLUMNS), rows, strict=True))


# no cache=True: numba would not notice a change in trading/, and fill by rules of the past
@njit
def _walk(
    prices: Array,
    atr: Array,
    starts: NDArray[np.bool_],
    ends: NDArray[np.bool_],
    action: NDArray[np.int8],
    strength: Array,
    terms: Terms,
    rules: Rulebook,
    account: Account,
) -> Array:
    num_bars = len(prices)
    rows = np.full((21, num_bars), np.nan)
    for t in range(num_bars):
        for column in range(11):
            rows[column, t] = account[column]
        if t + 1 == num_bars:
            break
        n = t + 1
        bar = Bar(
            prices[n, 0], prices[n, 1], prices[n, 2], prices[n, 3], atr[t], starts[n], ends[n]
        )
        outcome = trade_bar(account, action[t], strength[t], bar, terms, rules)
        position, exited = outcome.position, outcome.exit
        rows[11, t] = position.enters
        if position.enters:
            rows[12, t] = position.entry_price
            rows[13, t] = position.stop_price
            rows[14, t] = position.target_price
        rows[15, t] = exited.kind
        rows[17, t] = exited.kind > 0
        if exited.kind > 0:
            rows[16, t] = exited.price
            rows[18, t] = outcome.trade_pnl
        rows[19, t] = outcome.cost
        rows[20, t] = (
            exited.broke_drawdown * 1 + exited.broke_daily_loss * 2
            + position.breaks_limit * 4 + outcome.broke_flat_by_close * 8
        )  # fmt: skip
        account = outcome.account
    return rows
