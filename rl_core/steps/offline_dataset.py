"""offline_dataset: states, decisions and return targets, in Parquet and `.npz`."""

import pandas as pd

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError
from rl_core.base.files import write_json
from rl_core.market.splits import split_bars
from rl_core.offline.dataset import (
    action_distribution,
    build_dataset,
    export_npz,
    state_names,
)
from rl_core.offline.validation import MarketSource, validate_dataset
from rl_core.steps.context import BARS, THRESHOLDS, Workplace
from rl_core.store.artifacts import Artifact

SAMPLED_FEATURES = 4


def build_offline_dataset(work: Workplace) -> Artifact:
    """Assemble and seal the dataset."""
    desk, lake = work.desk, work.lake
    inputs = work.inputs("bars", "backtest_history")
    thresholds = work.read_thresholds("backtest_history")
    market = work.read_market(thresholds)
    history = pd.read_parquet(lake.path("backtest_history", "history.parquet"))
    dataset = build_dataset(
        market, split_bars(market.horizon_ns, desk.splits), history, work.kind.state,
        work.kind.decision_columns, desk.dataset,
    )  # fmt: skip
    require_rows(dataset, market.first_bar)
    metadata = {
        "rows": len(dataset),
        "actions": action_distribution(dataset["action"], work.kind.actions),
        "splits": dataset["split"].value_counts().to_dict(),
        "unknown_targets": {
            horizon: int(dataset[f"return_{horizon}"].isna().sum())
            for horizon in desk.dataset.horizons
        },
    }
    with lake.build("offline_dataset", inputs, desk.resolved(), metadata) as directory:
        dataset.to_parquet(directory / "dataset.parquet", index=False)
        write_json(directory / THRESHOLDS, thresholds.model_dump())
        export_npz(dataset, desk.dataset.horizons, directory / "dataset.npz")
    return lake.load("offline_dataset")


def require_rows(dataset: pd.DataFrame, warm_up: int) -> None:
    """Refuse a dataset with nothing to learn from or to be judged by.

    Raises:
        TollgateError: a split has no rows: the warm-up took them.
    """
    for split in ("train", "validation", "test"):
        if not (dataset["split"] == split).any():
            raise TollgateError(
                f"a dataset must have rows in every split, was without {split} rows: the first "
                f"{warm_up} of {warm_up + len(dataset)} bars fill the longest window, so more bars "
                "are needed"
            )


def run_checks(work: Workplace) -> list[Check]:
    """Validate the dataset as it lies on disk, whatever its seal says."""
    work.lake.seal("offline_dataset")
    kind, sealed = work.kind, work.read_bars()
    thresholds = work.read_thresholds("backtest_history")
    source = MarketSource(
        sealed,
        work.read_sentiment(),
        work.desk.bars.interval_ns,
        lambda bars, sentiment: kind.prepare(bars, sentiment, thresholds),
        kind.state.market_names,
        kind.prices_sql(sealed),
    )
    return validate_dataset(
        work.lake.path("offline_dataset", "dataset.parquet"),
        work.lake.path("bars", BARS),
        work.desk.dataset,
        source,
    )


def dataset_sample(work: Workplace, rows: int = 5) -> pd.DataFrame:
    """Some rows across the dataset, a few columns of each."""
    dataset = work.read_dataset("offline_dataset")
    targets = [f"return_{horizon}" for horizon in work.desk.dataset.horizons]
    step = max(len(dataset) // rows, 1)
    names = state_names(dataset)
    features = names[:: max(len(names) // SAMPLED_FEATURES, 1)][:SAMPLED_FEATURES]
    columns = ["timestamp", *features, "action", "strength", *targets, "split"]
    return dataset.iloc[::step][:rows][columns]
