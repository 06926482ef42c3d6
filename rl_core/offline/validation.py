"""Checks between the offline dataset and whatever learns from it.

They read the files as they lie on disk, so that what was changed after it was written is found
too. Shapes: N rows, H horizons.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.checks import Check, CheckSpec
from rl_core.base.units import length_ns
from rl_core.features.prepare import PreparedMarket
from rl_core.features.sentiment import known_times
from rl_core.features.state import side_by_side
from rl_core.market.bars import describe_rows
from rl_core.market.rolls import continuous_prices
from rl_core.market.settings import Split
from rl_core.offline.settings import DatasetConfig
from rl_core.store.frames import read_frames

DATASET_CHECKS = (
    CheckSpec("targets_are_not_infinite", False, "Infinite returns: a price of 0 in the bars."),
    CheckSpec("unknown_targets_are_few", False, "Holes in the bars: many rows teach no return."),
    CheckSpec(
        "known_targets_are_within_100_percent", True, "Returns beyond 100%: splits or bad prints."
    ),
    CheckSpec("targets_vary", False, "Targets that are all alike: a feed that stood still."),
    CheckSpec("moments_match_the_bars", False, "Targets unlike the bars' own returns."),
    CheckSpec(
        "targets_agree_with_prices_in_sql", True, "Targets that a second way does not find again."
    ),
    CheckSpec("no_feature_sees_the_future", True, "Look-ahead: a feature that later bars change."),
    CheckSpec(
        "no_label_reaches_another_split", True, "Labels of one split that end in another one."
    ),
)
ROWS_AT_ONCE = 100_000  # of a comparison

_SPECS = {spec.name: spec for spec in DATASET_CHECKS}


@dataclass(frozen=True)
class MarketSource:
    """What features and targets are made from."""

    bars: pd.DataFrame  # as sealed: one instrument's, or a panel
    sentiment: pd.DataFrame | None
    interval_ns: int
    prepare: Callable[[pd.DataFrame, pd.DataFrame | None], PreparedMarket]
    names: tuple[str, ...]  # of the market features
    prices_sql: str  # `series_prices` or `panel_prices`

    def until(self, moment: pd.Timestamp) -> PreparedMarket:
        """All that was known at the close of the bar which opened then."""
        bars, sentiment = self.bars[self.bars["timestamp"] <= moment], self.sentiment
        if sentiment is not None:
            close = moment + pd.Timedelta(self.interval_ns, "ns")
            sentiment = sentiment[known_times(sentiment) < close]
        return self.prepare(bars, sentiment)


def known_columns(market: PreparedMarket, bars: NDArray[np.integer] | slice) -> NDArray[np.float32]:
    """Market features and regime of some bars, as the dataset stores them."""
    return side_by_side([market.features[bars], market.regime[bars]])


def validate_dataset(
    dataset_path: Path, bars_path: Path, config: DatasetConfig, source: MarketSource
) -> list[Check]:
    """Run every check of DATASET_CHECKS, in that order."""
    # before the tables are read: it takes as much memory as they do
    in_sql = check_sql(dataset_path, bars_path, config.horizons, source.prices_sql)
    dataset = read_frames([dataset_path])
    targets = dataset[[f"return_{horizon}" for horizon in config.horizons]].to_numpy(np.float64)
    moments, unlike, probes = compare_with_all_bars(dataset, targets, source, config)
    return [
        check_infinity(targets),
        check_unknown(targets, config),
        check_range(targets),
        check_variation(targets, config),
        moments,
        in_sql,
        check_lookahead(dataset, source, unlike, probes),
        check_overlap(dataset, config.horizons),
    ]


def compare_with_all_bars(
    dataset: pd.DataFrame, targets: NDArray[np.float64], source: MarketSource, config: DatasetConfig
) -> tuple[Check, list[int], dict[int, pd.Timestamp]]:
    """What takes the market of all bars, which is gone before others are prepared.

    Returns:
        The verdict on the targets' moments, the rows whose features or regime are others, and the
        rows that look-ahead is probed at, with the time at which each one's bar opened.
    """
    market = source.until(source.bars["timestamp"].max())
    probes = np.unique(np.linspace(0, len(dataset) - 1, config.lookahead_probes).astype(int))
    opened = market.bars["timestamp"].iloc[dataset["bar"].iloc[probes]]
    return (
        check_moments(targets, market, config),
        rows_unlike(dataset, market, source.names),
        dict(zip(probes.tolist(), opened, strict=True)),
    )


def rows_unlike(dataset: pd.DataFrame, market: PreparedMarket, names: tuple[str, ...]) -> list[int]:
    """Rows whose features or regime are not those of their bar, looked at some at a time."""
    found: list[int] = []
    for start in range(0, len(dataset), ROWS_AT_ONCE):
        rows = dataset.iloc[start : start + ROWS_AT_ONCE]
        known = known_columns(market, rows["bar"].to_numpy())
        differs = (stored_columns(rows, names) != known).any(axis=1)
        found += (start + np.flatnonzero(differs)).tolist()
    return found


def stored_columns(rows: pd.DataFrame, names: tuple[str, ...]) -> NDArray[np.float32]:
    """Market features and regime of some rows of the dataset."""
    return rows[[*names, "regime"]].to_numpy(dtype=np.float32)


def check_overlap(dataset: pd.DataFrame, horizons: tuple[str, ...]) -> Check:
    """No target of one split is still open when another split begins."""
    reaching = overlapping_rows(
        dataset["clock"].to_numpy(np.int64),
        dataset["split"].cat.codes.to_numpy().astype(np.int8),
        max(length_ns(horizon) for horizon in horizons),
    )
    which = f": {describe_rows(reaching)}" if len(reaching) else ""
    detail = f"{len(reaching)} rows whose longest target ends in another split{which}"
    return _check("no_label_reaches_another_split", not len(reaching), detail, rows=len(reaching))


def overlapping_rows(
    clock_ns: NDArray[np.int64], split: NDArray[np.int8], longest_ns: int
) -> NDArray[np.int64]:
    """Rows (K,) whose target ends at or after the next row of another split; purged ones do not.

    Args:
        clock_ns: (N,) increasing, as horizons count time.
        split: (N,) Split; PURGED belongs to none.
        longest_ns: the longest horizon.
    """
    used = np.flatnonzero(split != Split.PURGED)
    clock, part = clock_ns[used], split[used]
    begins = np.append(np.flatnonzero(part[1:] != part[:-1]) + 1, len(part))
    following = begins[np.searchsorted(begins, np.arange(len(part)), side="right")]
    starts = np.append(clock, np.iinfo(np.int64).max)
    return used[clock + longest_ns >= starts[following]]


def _check(name: str, passed: bool, detail: str, **figures: float | int | None) -> Check:
    return _SPECS[name].verdict(passed, detail, **figures)


def check_infinity(targets: NDArray[np.float64]) -> Check:
    """No target may be infinite; unknown is NaN."""
    rows = np.flatnonzero(np.isinf(targets).any(axis=1))
    detail = f"infinite in {describe_rows(rows)}" if len(rows) else "no target is infinite"
    return _check("targets_are_not_infinite", not len(rows), detail, rows=len(rows))


def check_unknown(targets: NDArray[np.float64], config: DatasetConfig) -> Check:
    """The share of unknown targets stays below the limit at every horizon."""
    shares = np.isnan(targets).mean(axis=0)
    detail = f"largest unknown share {shares.max():.4f}, limit {config.max_unknown_share}"
    named = dict(zip(config.horizons, shares.tolist(), strict=True))
    return _check(
        "unknown_targets_are_few", bool(shares.max() <= config.max_unknown_share), detail, **named
    )


def check_range(targets: NDArray[np.float64]) -> Check:
    """Whether all known targets lie within +-100%."""
    rows = np.flatnonzero((np.abs(np.nan_to_num(targets, nan=0.0, posinf=np.inf)) > 1).any(axis=1))
    detail = f"beyond +-100% in {describe_rows(rows)}" if len(rows) else "all within +-100%"
    return _check("known_targets_are_within_100_percent", not len(rows), detail, rows=len(rows))


def check_variation(targets: NDArray[np.float64], config: DatasetConfig) -> Check:
    """Known targets are not all alike."""
    known = [column[np.isfinite(column)] for column in targets.T]
    spreads = [float(column.std()) if len(column) else 0.0 for column in known]
    named = {f"sd_{h}": sd for h, sd in zip(config.horizons, spreads, strict=True)}
    return _check(
        "targets_vary", min(spreads) > 0, f"smallest standard deviation {min(spreads):.6f}", **named
    )


def check_moments(
    targets: NDArray[np.float64], market: PreparedMarket, config: DatasetConfig
) -> Check:
    """Mean and standard deviation agree with those of the bars' own returns, in the bars' sd."""
    prices = continuous_prices(market.bars)["close"].to_numpy()
    close = pd.Series(prices, index=pd.to_datetime(market.horizon_ns))
    errors: list[float] = []
    for horizon, column in zip(config.horizons, targets.T, strict=True):
        own = (
            close.shift(freq=-pd.Timedelta(length_ns(horizon), "ns")).reindex(close.index) / close
            - 1
        )
        known = column[np.isfinite(column)]
        mean, sd = (known.mean(), known.std()) if len(known) else (np.inf, np.inf)
        errors += [abs(mean - own.mean()) / own.std(), abs(sd / own.std() - 1)]
    worst = float(np.max(errors))  # NaN if one is
    passed = worst <= config.max_moment_error
    detail = f"largest difference {worst:.4f} sd, limit {config.max_moment_error}"
    figure = worst if np.isfinite(worst) else None
    return _check("moments_match_the_bars", passed, detail, worst=figure)


_SQL = """
    WITH dataset AS (
        SELECT file_row_number AS row, {target} AS target,
               epoch_us(timestamp::TIMESTAMPTZ) AS moment,
               lag(epoch_us(timestamp::TIMESTAMPTZ)) OVER (ORDER BY file_row_number) AS before
        FROM read_parquet($dataset, file_row_number = true)
    ), prices AS MATERIALIZED ({prices}), bars AS (
        SELECT *, lag(moment) OVER (ORDER BY moment) AS before FROM prices
    )
    SELECT row FROM dataset
    LEFT JOIN bars now ON now.moment = dataset.moment
    LEFT JOIN bars later ON later.time = now.time + $horizon_us
    WHERE now.close IS NULL
       OR dataset.before <> now.before  -- a bar was left out, or a row stands twice
       OR CASE
            WHEN later.close IS NULL OR coalesce(later.contract <> now.contract, false)
            THEN NOT isnan(coalesce(target, 'nan'::FLOAT))
            ELSE coalesce(
                isnan(target) OR abs(target - (later.close / now.close - 1)) > 1e-6, true
            )
          END
    ORDER BY row
"""


def check_sql(
    dataset_path: Path, bars_path: Path, horizons: tuple[str, ...], prices_sql: str
) -> Check:
    """Targets equal those that SQL finds in the bars' file, unknown ones included.

    Every row must be a bar, and the rows must follow each other as the bars do.
    """
    wrong: list[int] = []
    import duckdb  # not every reader of a declaration computes

    with duckdb.connect() as connection:
        for horizon in horizons:
            parameters = {
                "dataset": str(dataset_path),
                "bars": str(bars_path),
                "horizon_us": length_ns(horizon) // 1000,
            }
            query = _SQL.format(target=f'"return_{horizon}"', prices=prices_sql)
            wrong += [row for (row,) in connection.execute(query, parameters).fetchall()]
    rows = sorted(set(wrong))
    detail = f"differ in {describe_rows(rows)}" if rows else f"agree at {', '.join(horizons)}"
    return _check("targets_agree_with_prices_in_sql", not rows, detail, rows=len(rows))


def check_lookahead(
    dataset: pd.DataFrame,
    source: MarketSource,
    unlike: list[int],
    probes: dict[int, pd.Timestamp],
) -> Check:
    """Stored features and regimes equal those of all bars, and of bars that end at the decision.

    All rows were compared with one computation over all bars; at some of them it is repeated on
    what was there at the decision: bars up to it, sentiment known before its close. The
    thresholds are those fitted on train: parameters that are known before validation begins.

    Args:
        dataset: (N,) as it lies on disk.
        source: of its features.
        unlike: rows that differ from the computation over all bars.
        probes: rows at which it is repeated, with the time at which each one's bar opened.
    """
    wrong = set(unlike)
    for row, moment in probes.items():
        known = known_columns(source.until(moment), slice(-1, None))
        if not np.array_equal(known, stored_columns(dataset.iloc[[row]], source.names)):
            wrong.add(row)
    rows = sorted(wrong)
    detail = (
        f"differ from what was known in {describe_rows(rows)}"
        if rows
        else f"{len(dataset)} rows agree, {len(probes)} of them with the future cut off"
    )
    return _check(
        "no_feature_sees_the_future", not rows, detail, rows=len(rows), probes=len(probes)
    )
