"""regime_dataset: the training rows of one kind of market, and all validation and test rows."""

from rl_core.base.checks import Check
from rl_core.base.files import write_json
from rl_core.offline.dataset import action_distribution
from rl_core.offline.regime_filter import filter_training_rows, rows_per_mode
from rl_core.steps import CHAIN
from rl_core.steps.context import THRESHOLDS, Workplace
from rl_core.store.artifacts import Artifact


def build_regime_dataset(work: Workplace) -> Artifact:
    """Filter the training rows and seal the result."""
    desk, lake = work.desk, work.lake
    inputs = work.inputs("offline_dataset")
    dataset = work.read_dataset("offline_dataset")
    thresholds = work.read_thresholds("offline_dataset")
    filtered = filter_training_rows(dataset, thresholds, desk.regime_filter)
    metadata = {
        "mode": desk.regime_filter.mode,
        "rows": len(filtered),
        "train_rows": int((filtered["split"] == "train").sum()),
        "train_rows_before": int((dataset["split"] == "train").sum()),
        "train_rows_by_mode": rows_per_mode(dataset, thresholds),
        "actions": action_distribution(filtered["action"], work.kind.actions),
    }
    with lake.build("regime_dataset", inputs, desk.resolved(), metadata) as directory:
        filtered.to_parquet(directory / "dataset.parquet", index=False)
        write_json(directory / THRESHOLDS, thresholds.model_dump())
    return lake.load("regime_dataset")


def run_checks(work: Workplace) -> list[Check]:
    """The filter took training rows only."""
    before, after = work.read_dataset("offline_dataset"), work.read_dataset("regime_dataset")
    counts = {
        split: (int((before["split"] == split).sum()), int((after["split"] == split).sum()))
        for split in ("validation", "test")
    }
    detail = ", ".join(f"{split} {b} rows before, {a} after" for split, (b, a) in counts.items())
    return [
        Check(
            name="only_training_rows_were_filtered",
            passed=all(b == a for b, a in counts.values()),
            is_blocking=CHAIN["regime_dataset"]["only_training_rows_were_filtered"],
            detail=detail,
            figures={f"{split}_rows": a for split, (_, a) in counts.items()},
        )
    ]
