"""What a desk's chain has come to: the table at the end of `make demo`."""

from typing import Any

from rl_core.steps.context import Workplace
from rl_core.steps.prediction_validation.step import read_report


def summarise_chain(work: Workplace) -> dict[str, Any]:
    """Figures of every link, from its verified artefact.

    Raises:
        TollgateError: a link was not built, or was changed since.
    """
    names = (
        "bars",
        "backtest_history",
        "offline_dataset",
        "regime_dataset",
        "bc_policy",
        "ppo_policy",
    )
    figures: dict[str, Any] = {}
    for name in names:
        artifact = work.lake.load(name)
        figures[name] = {**artifact.metadata, **artifact.timings}
    report = read_report(work)
    version = work.store.served("shadow")
    return {
        "desk": work.desk.name,
        "market": work.desk.bars.market_name,
        **figures,
        "gate": report.model_dump(mode="json"),
        "model": {
            "version": version.manifest.version,
            "stage": version.manifest.stage,
            "directory": str(version.directory),
            "is_of_this_chain": all(
                version.manifest.lineage[name].identity == artifact.identity
                for name, artifact in work.lake.lineage("prediction_validation").items()
            ),
        },
    }
