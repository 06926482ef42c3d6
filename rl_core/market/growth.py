"""Bars that grow: what a source holds now, joined to what it held before. Shapes: B bars."""

import pandas as pd


def joined(before: pd.DataFrame, fresh: pd.DataFrame) -> pd.DataFrame:
    """Every bar of either, in order of time; where both have one, the source's word of now.

    Joining a source bar by bar, or all at once, gives the same bars.

    Args:
        before: (B,) bars of the last update, held to the contract.
        fresh: (B',) bars that the source has now, of the same instrument and columns.
    """
    gone = before[~before["timestamp"].isin(fresh["timestamp"])]
    if gone.empty:
        return fresh
    return pd.concat([gone, fresh]).sort_values("timestamp").reset_index(drop=True)
