"""offline_dataset: states, decisions and return targets, in Parquet and `.npz`."""

import pandas as pd

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError
from rl_core.base.files import write_json
from rl_core.features.regimes import RegimeThresholds
from rl_core.market.splits import split_bars
from rl_core.offline.dataset import action_distribution, build_dataset, export_npz, state_names
from rl_core.offline.validation import DATASET_CHECKS, MarketSource, validate_dataset
from rl_core.steps.backtest_history import HISTORY, HistoryFacts
from rl_core.steps.backtest_history import TABLE as HISTORY_TABLE
from rl_core.steps.bars import BARS, BarsFacts
from rl_core.steps.context import DeskContext, Opened, Task
from rl_core.steps.latest_bars import TABLE as BARS_TABLE
from rl_core.steps.reading import (
    DATASET,
    THRESHOLDS,
    read_bars,
    read_dataset,
    read_market,
    read_sentiment,
    read_thresholds,
)
from rl_core.steps.sections import LIMITS, MARKET
from rl_core.steps.step import Facts, Step

SAMPLED_FEATURES = 4


class DatasetFacts(Facts):
    """How many rows there are of each kind."""

    rows: int
    actions: dict[str, int]
    splits: dict[str, int]
    unknown_targets: dict[str, int]  # by horizon


def build(task: Task) -> DatasetFacts:
    """Assemble states, decisions and targets, one row a decision."""
    context = task.context
    desk, history = context.desk, task.input(HISTORY)
    thresholds = read_thresholds(history)
    dataset = decided_rows(context, task.input(BARS), history, thresholds)
    require_rows(dataset, history.facts.first_bar)
    dataset.to_parquet(task.directory / DATASET, index=False)
    write_json(task.directory / THRESHOLDS, thresholds.model_dump())
    export_npz(dataset, desk.dataset.horizons, task.directory / "dataset.npz")
    return DatasetFacts(
        rows=len(dataset),
        actions=action_distribution(dataset["action"], context.kind.actions),
        splits={str(name): int(n) for name, n in dataset["split"].value_counts().items()},
        unknown_targets={
            horizon: int(dataset[f"return_{horizon}"].isna().sum())
            for horizon in desk.dataset.horizons
        },
    )


def decided_rows(
    context: DeskContext,
    bars: Opened[BarsFacts],
    history: Opened[HistoryFacts],
    thresholds: RegimeThresholds,
) -> pd.DataFrame:
    """The dataset; the market behind it, which is larger, is gone when it is returned."""
    desk, kind = context.desk, context.kind
    market = read_market(context, bars, thresholds)
    decided = [*kind.state.account_names, "action", "strength", *kind.decision_columns]
    return build_dataset(
        market, split_bars(market.horizon_ns, desk.splits),
        history.read_frame(HISTORY_TABLE, decided),
        kind.state, kind.decision_columns, desk.dataset,
    )  # fmt: skip


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


def judge(context: DeskContext, dataset: Opened[DatasetFacts]) -> list[Check]:
    """Validate the dataset against the bars that it was made from."""
    history, bars = context.input_of(dataset, HISTORY), context.input_of(dataset, BARS)
    kind, sealed = context.kind, read_bars(bars)
    thresholds = read_thresholds(history)
    source = MarketSource(
        sealed,
        read_sentiment(bars),
        context.desk.bars.interval_ns,
        lambda bars, sentiment: kind.prepare(bars, sentiment, thresholds),
        kind.state.market_names,
        kind.prices_sql(sealed),
    )
    return validate_dataset(
        dataset.path / DATASET, bars.path / BARS_TABLE, context.desk.dataset, source
    )


def dataset_sample(
    context: DeskContext, opened: Opened[DatasetFacts], rows: int = 5
) -> pd.DataFrame:
    """Some rows across the dataset, a few columns of each."""
    dataset = read_dataset(opened)
    targets = [f"return_{horizon}" for horizon in context.desk.dataset.horizons]
    step = max(len(dataset) // rows, 1)
    names = state_names(dataset)
    features = names[:: max(len(names) // SAMPLED_FEATURES, 1)][:SAMPLED_FEATURES]
    columns = ["timestamp", *features, "action", "strength", *targets, "split"]
    return dataset.iloc[::step][:rows][columns]


OFFLINE_DATASET = Step(
    name="offline_dataset",
    about="""States, decisions and return targets: what a learner gets to see.

Features, action, strength and the return after each horizon, looked up by timestamp; unknown is
NaN. Chronological splits with a purge. Also exported as `.npz`.""",
    facts=DatasetFacts,
    build=build,
    needs=(BARS, HISTORY),
    reads=(*MARKET, "dataset"),
    ignores=(
        *LIMITS,
        "dataset.max_unknown_share", "dataset.max_moment_error", "dataset.lookahead_probes",
    ),
    checks=DATASET_CHECKS,
    judge=judge,
    judged_by=("dataset",),
    table=DATASET,
    technologies=("parquet", "numpy"),
)  # fmt: skip
