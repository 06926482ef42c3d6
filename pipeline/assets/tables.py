"""The links that are tables: bars, backtest_history, offline_dataset, regime_dataset."""

import dagster as dg

from pipeline.reporting import table_result
from pipeline.wiring import desk_asset
from rl_core.desk import DeskConfig
from rl_core.steps.backtest_history import build_backtest_history
from rl_core.steps.bars import build_bars
from rl_core.steps.context import Workplace
from rl_core.steps.offline_dataset import build_offline_dataset, dataset_sample
from rl_core.steps.regime_dataset import build_regime_dataset


def table_assets(desk: DeskConfig) -> list[dg.AssetsDefinition]:
    """The first four links of a desk."""

    def bars() -> dg.MaterializeResult:
        """Bars of the desk's instrument, held to the bar contract.

        `timestamp` is a bar's opening time, UTC. A defect stops the chain with its row numbers, and
        so do prices in two units and impossible rolls; gaps, stale, zero-volume and jumping bars
        stand in the quality report.
        """
        work = Workplace.open(desk.name)
        return table_result(work, build_bars(work), "bars.parquet")

    def backtest_history() -> dg.MaterializeResult:
        """One row per decision of the rule-based ensemble.

        Every analyst's action, strength, weight and reason; the vote; the account at the decision;
        the fill at the next open with its costs. The metadata compares it with buy and hold.
        """
        work = Workplace.open(desk.name)
        return table_result(work, build_backtest_history(work), "history.parquet")

    def offline_dataset() -> dg.MaterializeResult:
        """States, decisions and return targets: what a learner gets to see.

        Features, action, strength and the return after each horizon, looked up by timestamp;
        unknown is NaN. Chronological splits with a purge. Also exported as `.npz`.
        """
        work = Workplace.open(desk.name)
        artifact = build_offline_dataset(work)
        sample = dg.MetadataValue.md(dataset_sample(work).to_markdown(index=False))
        return table_result(work, artifact, "dataset.parquet", sample=sample)

    def regime_dataset() -> dg.MaterializeResult:
        """The dataset with the training rows of one kind of market.

        Validation and test rows are never filtered.
        """
        work = Workplace.open(desk.name)
        return table_result(work, build_regime_dataset(work), "dataset.parquet")

    return [
        desk_asset(desk, bars, kinds={"parquet", "pandas"}),
        desk_asset(desk, backtest_history, kinds={"parquet", "numba"}, deps=["bars"]),
        desk_asset(
            desk, offline_dataset, kinds={"parquet", "numpy"}, deps=["bars", "backtest_history"]
        ),
        desk_asset(desk, regime_dataset, kinds={"parquet", "pandas"}, deps=["offline_dataset"]),
    ]
