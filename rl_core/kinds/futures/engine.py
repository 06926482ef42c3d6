"""The same walk for a futures account: every entry carries a bracket, the rulebook watches.

Shapes: B bars. Row t of every column belongs to the decision at the close of bar t.
"""

import numpy as np
import pandas as pd
from numba import njit
from numba.extending import register_jitable
from numpy.typing import NDArray

from rl_core.trading.brackets import RULES, Account, Bar, Outcome, new_account, trade_bar
from rl_core.trading.terms import Rulebook, Terms

Array = NDArray[np.float64]

# what came of a decision in the next bar: after the account's own columns
OUTCOMES = (
    "enters", "fill_price", "stop_loss", "take_profit", "exit", "exit_price", "held_side",
    "held_contracts", "trade_pnl", "cost", *(f"broke_{rule}" for rule in RULES),
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
    opened: Account | None = None,
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
        opened: the account at the first close; a new one if left out.

    Returns:
        The account's own columns at each decision and OUTCOMES in the bar after it, (B,) each. The
        bracket stands where an entry filled, exit price and trade where a trade ended, else NaN.
    """
    prices = np.column_stack([bars[name] for name in ("open", "high", "low", "close")])
    rows = np.full((len(Account._fields) + len(OUTCOMES), len(prices)), np.nan)
    account = opened or new_account(0.0, rules.initial_cash)
    _walk(prices, atr, starts, ends, action, strength, terms, rules, account, rows)
    return dict(zip((*Account._fields, *OUTCOMES), rows, strict=True))


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
    rows: Array,
) -> None:
    num_bars, first = len(prices), len(account)
    for t in range(num_bars):
        for column in range(first):
            rows[column, t] = account[column]
        if t + 1 == num_bars:
            break
        n = t + 1
        bar = Bar(
            prices[n, 0], prices[n, 1], prices[n, 2], prices[n, 3], atr[t], starts[n], ends[n]
        )
        outcome = trade_bar(account, action[t], strength[t], bar, terms, rules)
        columns = _outcome_columns(outcome)
        for column in range(len(columns)):
            rows[first + column, t] = columns[column]
        account = outcome.account


@register_jitable
def _outcome_columns(outcome: Outcome) -> tuple[float, ...]:
    """The walk's outcomes as columns, named as in OUTCOMES."""
    position, exited, broken = outcome.position, outcome.exit, outcome.broken
    entry = 1.0 if position.enters else np.nan
    end = 1.0 if exited.kind > 0 else np.nan
    return (
        position.enters * 1.0,
        position.entry_price * entry,
        position.stop_price * entry,
        position.target_price * entry,
        exited.kind * 1.0,
        exited.price * end,
        position.side * 1.0,
        position.contracts * 1.0,
        outcome.trade_pnl * end,
        outcome.cost * 1.0,
        broken.trailing_drawdown * 1.0,
        broken.daily_loss * 1.0,
        broken.contract_limit * 1.0,
        broken.flat_by_close * 1.0,
    )
