"""The backtest history: one row per decision, with every analyst's say and the account around it.

Shapes: B bars.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.kinds.spot.engine import Walk
from rl_core.market.bars import nanoseconds
from rl_core.teacher.vote import Vote
from rl_core.trading.performance import Performance, round_trip_profits, summarise


def decision_records(
    bars: pd.DataFrame, vote: Vote, account: Mapping[str, NDArray[Any]], regime: np.ndarray
) -> pd.DataFrame:
    """Table of decisions.

    Columns: `timestamp`, `close`, `regime`; `<analyst>_action`, `_strength`, `_weight`, `_reason`;
    the vote's `action` and `strength`; then what the account says.

    Args:
        bars: (B,) that were decided at.
        vote: the decisions.
        account: (B,) columns: the account at each decision, and what came of the decision.
        regime: (B,).
    """
    columns: dict[str, object] = {
        "timestamp": bars["timestamp"],
        "close": bars["close"],
        "regime": regime,
    }
    for name, signal in vote.signals.items():
        columns[f"{name}_action"] = signal.action
        columns[f"{name}_strength"] = signal.strength
        columns[f"{name}_weight"] = np.full(len(bars), vote.weights[name])
        columns[f"{name}_reason"] = pd.Categorical.from_codes(
            signal.reason, dtype=pd.CategoricalDtype(list(signal.reasons))
        )
    columns |= {
        "action": vote.action,
        "strength": vote.strength,
        **account,
    }
    return pd.DataFrame(columns)


def walk_performance(bars: pd.DataFrame, walk: Walk) -> Performance:
    """Summary of a walk over the bars."""
    ns = nanoseconds(bars["timestamp"])
    fills = slice(0, len(ns) - 1)
    traded_value = np.abs(walk.traded_units[fills]) * np.nan_to_num(walk.fill_price[fills])
    return summarise(
        ns,
        walk.equity,
        walk.units[1:],
        round_trip_profits(walk.equity, walk.units[1:], walk.equity_after_fill[fills]),
        traded_value,
        walk.cost[fills],
    )
