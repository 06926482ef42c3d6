"""What changed in history between two snapshots of one source. Shapes: B bars.

A source may correct old bars. That is a new snapshot, and whoever trained on the old one should
hear of it: which bars, and what was there before.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

SYMBOL = "symbol"  # of a panel, whose bars are told apart by it too


@dataclass(frozen=True)
class Revisions:
    """How a later snapshot differs from an earlier one, up to the end of the earlier."""

    changed: pd.DataFrame  # timestamp, symbol of a panel, column, before, after
    removed: int  # bars that are gone
    inserted: int  # bars that were not there
    appended: int  # bars after the earlier one's end
    removed_from: str = ""  # time of the first that is gone, and below of the first inserted
    inserted_from: str = ""

    @property
    def changed_bars(self) -> int:
        """How many bars have a value that changed."""
        keys = [name for name in ("timestamp", SYMBOL) if name in self.changed]
        return len(self.changed[keys].drop_duplicates())

    @property
    def is_unchanged(self) -> bool:
        """True if history is what it was; bars may have been appended."""
        return not (len(self.changed) or self.removed or self.inserted)

    def describe(self, limit: int = 3) -> str:
        """What changed, in words, with the first bars' old and new values."""
        parts = []
        if len(self.changed):
            shown = [
                f"{row.timestamp:%Y-%m-%d %H:%M}"
                + (f" {row.symbol}" if SYMBOL in self.changed else "")
                + f" {row.column} {row.before:g} -> {row.after:g}"
                for row in self.changed.head(limit).itertuples()
            ]
            more = len(self.changed) - limit
            parts.append(
                f"{self.changed_bars} bars changed ({', '.join(shown)}"
                + (f" and {more} more values)" if more > 0 else ")")
            )
        gone = f"{self.removed} bars are gone, the first of {self.removed_from}"
        more = f"{self.inserted} bars were inserted, the first at {self.inserted_from}"
        parts += [gone] if self.removed else []
        parts += [more] if self.inserted else []
        return ", ".join(parts) or f"history is what it was, {self.appended} bars were appended"


def _first(bars: pd.DataFrame) -> str:
    return "" if bars.empty else f"{bars['timestamp'].min():%Y-%m-%d %H:%M}"


def compare_snapshots(before: pd.DataFrame, after: pd.DataFrame) -> Revisions:
    """What a later snapshot says differently of the time that an earlier one covers.

    Args:
        before: (B,) the earlier one.
        after: (B',) the later one, of the same source.
    """
    keys = [name for name in ("timestamp", SYMBOL) if name in before and name in after]
    end = before["timestamp"].max()
    covered = after[after["timestamp"] <= end]
    both = before.merge(
        covered, on=keys, how="outer", suffixes=("_before", "_after"), indicator=True
    )
    shared = both[both["_merge"] == "both"]
    found: list[pd.DataFrame] = []
    for name in before.columns:
        if name in keys or not pd.api.types.is_float_dtype(before[name]) or name not in after:
            continue
        old, new = shared[f"{name}_before"], shared[f"{name}_after"]
        differs = (old != new) & ~(old.isna() & new.isna())
        found.append(
            shared.loc[differs, keys].assign(column=name, before=old[differs], after=new[differs])
        )
    gone, came = (both[both["_merge"] == side] for side in ("left_only", "right_only"))
    changed = pd.concat(found, ignore_index=True).sort_values(keys, kind="stable")
    return Revisions(
        changed=changed.reset_index(drop=True),
        removed=len(gone),
        inserted=len(came),
        removed_from=_first(gone),
        inserted_from=_first(came),
        appended=int(np.count_nonzero(after["timestamp"] > end)),
    )
