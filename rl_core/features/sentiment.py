"""News and macro sentiment from an optional point-in-time file.

The file (CSV or Parquet) has `published` (UTC) and `news`, `macro` (-1..1). A bar sees the
latest row published before its close, and none that is older than `max_age_hours`; without a
source both are 0. Shapes: B bars.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.features.settings import SentimentConfig
from rl_core.market.bars import describe_rows

COLUMNS = ("news", "macro")


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
    closes = pd.DataFrame({"published": timestamps + pd.Timedelta(interval_ns, "ns")})
    known = pd.merge_asof(
        closes,
        published,
        on="published",
        allow_exact_matches=False,
        tolerance=pd.Timedelta(hours=max_age_hours),
    )
    return known[list(COLUMNS)].fillna(0.0).to_numpy(dtype=np.float64)


def read_sentiment(config: SentimentConfig, root: Path) -> pd.DataFrame | None:
    """The source in order of publication: `published` (UTC), `news`, `macro`; None without one.

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
    times = pd.to_datetime(table["published"], utc=True, errors="coerce").dt.as_unit("ns")
    if times.isna().any():
        raise TollgateError(
            f"published must be times, was not in {describe_rows(np.flatnonzero(times.isna()))}"
        )
    return table.assign(published=times).sort_values("published", kind="stable")[
        ["published", *COLUMNS]
    ]
