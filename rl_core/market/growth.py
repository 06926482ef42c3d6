"""Bars that grow: what a source holds now, joined to what it held before. Shapes: B bars."""

import pandas as pd

from rl_core.base.errors import TollgateError
from rl_core.market.bars import has_volume


def joined(before: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """Every bar of either, in order of time; where both have one, the source's word of now.

    Joining a source bar by bar, or all at once, gives the same bars.

    Args:
        before: (B,) bars of the last update, held to the contract.
        fresh: (B',) bars that the source has now, of the same instrument.

    Raises:
        TollgateError: one of them has columns that the other lacks.
    """
    if set(before.columns) != set(fresh.columns):
        raise TollgateError(
            "bars that are joined must have the same columns, was "
            f"{', '.join(sorted(set(before.columns) ^ set(fresh.columns)))} in one only: the "
            "source is laid out otherwise than at the last update; mend it, or begin a desk anew"
        )
    gone = before[~before["timestamp"].isin(fresh["timestamp"])]
    if gone.empty or fresh.empty:
        return fresh if gone.empty else before
    if has_volume(gone) != has_volume(fresh):
        # nothing was traded in one of the pieces, which is no market that reports nothing
        gone, fresh = (part.fillna({"volume": 0.0}) for part in (gone, fresh))
    return pd.concat([gone, fresh]).sort_values("timestamp").reset_index(drop=True)
