"""News and macro sentiment from an optional point-in-time file.

The file (CSV or Parquet) has `published` (UTC) and `news`, `macro` (-1..1). A bar sees the
latest row published before its close, and none that is older than `max_age_hours`; without a
source both are 0. A row that reached its reader later than it was published has `known` (UTC)
besides, and counts from then. Shapes: B bars, R rows.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.features.settings import SentimentConfig
from rl_core.market.bars import describe_rows

COLUMNS = ("news", "macro")
KNOWN = "known"


def sentiment_at_close(
    timestamps: pd.Series,
    interval_ns: int,
    published: pd.DataFrame | None,
    max_age_hours: float,
) -> NDArray[np.float64]:
    """News and macro sentiment known at each bar's close, (B, 2) in [-1, 1].

    Args:
        timestamps: (B,) opening times, UTC.
        interval_ns: a bar's length.
        published: as `read_sentiment` gives it; None for no source.
        max_age_hours: older rows say nothing any more.
    """
    if published is None:
        return np.zeros((len(timestamps), len(COLUMNS)))
    closes = pd.DataFrame({KNOWN: timestamps + pd.Timedelta(interval_ns, "ns")})
    in_order = published.assign(**{KNOWN: known_times(published)}).sort_values(KNOWN, kind="stable")
    # of what is known at a time the latest published counts: late news of before says nothing new
    is_newest = in_order["published"] >= in_order["published"].cummax()
    seen = pd.merge_asof(closes, in_order[is_newest], on=KNOWN, allow_exact_matches=False)
    is_fresh = seen[KNOWN] - seen["published"] <= pd.Timedelta(hours=max_age_hours)
    return seen[list(COLUMNS)].where(is_fresh).fillna(0.0).to_numpy(dtype=np.float64)


def known_times(published: pd.DataFrame) -> pd.Series:
    """When each row could first be acted upon, (R,): not before it was published."""
    if KNOWN not in published:
        return published["published"]
    return published[["published", KNOWN]].max(axis=1)


def late_rows(before: pd.DataFrame, now: pd.DataFrame) -> pd.DataFrame:
    """Rows that a source says were known at its last reading, and that it did not have then.

    Args:
        before: as `read_sentiment` gave it then; not empty.
        now: the same source's rows now.
    """
    end = known_times(before).max()
    shared = [name for name in now.columns if name in before.columns]
    both = now.merge(before[shared].drop_duplicates(), how="left", on=shared, indicator=True)
    return now[((both["_merge"] == "left_only") & (known_times(both) <= end)).to_numpy()]


def read_sentiment(config: SentimentConfig, root: Path) -> pd.DataFrame | None:
    """The source in order of publication, (R,); None without one.

    Columns are `published` (UTC), `news`, `macro` and, if the source has it, `known` (UTC).

    Raises:
        TollgateError: the file is missing, or a value is out of range.
    """
    if config.path is None:
        return None
    path = root / config.path
    if not path.is_file():
        raise TollgateError(f"sentiment must come from an existing file, was {path}")
    table = pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path)
    if missing := [name for name in ("published", *COLUMNS) if name not in table.columns]:
        raise TollgateError(
            f"{path.name} must have columns published, news, macro, was without {missing}"
        )
    for name in COLUMNS:
        values = pd.to_numeric(table[name], errors="coerce")
        bad = np.flatnonzero(~(values.abs() <= 1))
        if len(bad):
            raise TollgateError(
                f"{name} sentiment must be within -1..1, was {table[name].iloc[bad[0]]!r} "
                f"({describe_rows(bad)})"
            )
    stamps = [name for name in ("published", KNOWN) if name in table.columns]
    for name in stamps:
        times = pd.to_datetime(table[name], utc=True, errors="coerce").dt.as_unit("ns")
        if times.isna().any():
            raise TollgateError(
                f"{name} must be times, was not in {describe_rows(np.flatnonzero(times.isna()))}"
            )
        table[name] = times
    rows = table.sort_values("published", kind="stable")[["published", *COLUMNS, *stamps[1:]]]
    return rows.reset_index(drop=True)
