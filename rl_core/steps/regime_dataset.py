"""regime_dataset: the training rows of one kind of market, and all validation and test rows."""

from rl_core.base.checks import Check, CheckSpec
from rl_core.base.files import write_json
from rl_core.offline.dataset import action_distribution
from rl_core.offline.regime_filter import filter_training_rows, rows_per_mode
from rl_core.steps.context import DeskContext, Opened, Task
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.reading import DATASET, THRESHOLDS, read_dataset, read_thresholds
from rl_core.steps.step import Facts, Step


class RegimeFacts(Facts):
    """How many training rows the filter kept."""

    mode: str
    rows: int
    train_rows: int
    train_rows_before: int
    train_rows_by_mode: dict[str, int]
    actions: dict[str, int]


def build(task: Task) -> RegimeFacts:
    """Keep the training rows of one kind of market."""
    context, offline = task.context, task.input(OFFLINE_DATASET)
    dataset, thresholds = read_dataset(offline), read_thresholds(offline)
    filtered = filter_training_rows(dataset, thresholds, context.desk.regime_filter)
    filtered.to_parquet(task.directory / DATASET, index=False)
    write_json(task.directory / THRESHOLDS, thresholds.model_dump())
    return RegimeFacts(
        mode=context.desk.regime_filter.mode,
        rows=len(filtered),
        train_rows=int((filtered["split"] == "train").sum()),
        train_rows_before=int((dataset["split"] == "train").sum()),
        train_rows_by_mode=rows_per_mode(dataset, thresholds),
        actions=action_distribution(filtered["action"], context.kind.actions),
    )


def judge(context: DeskContext, regimes: Opened[RegimeFacts]) -> list[Check]:
    """The filter took training rows only."""
    before = read_dataset(context.input_of(regimes, OFFLINE_DATASET))
    after = read_dataset(regimes)
    counts = {
        split: (int((before["split"] == split).sum()), int((after["split"] == split).sum()))
        for split in ("validation", "test")
    }
    detail = ", ".join(f"{split} {b} rows before, {a} after" for split, (b, a) in counts.items())
    is_whole = all(b == a for b, a in counts.values())
    figures = {f"{split}_rows": a for split, (_, a) in counts.items()}
    return [REGIMES.verdict("only_training_rows_were_filtered", is_whole, detail, **figures)]


REGIMES = Step(
    name="regime_dataset",
    about="""The dataset with the training rows of one kind of market.

Validation and test rows are never filtered.""",
    facts=RegimeFacts,
    build=build,
    needs=(OFFLINE_DATASET,),
    reads=("regime_filter",),
    checks=(
        CheckSpec(
            "only_training_rows_were_filtered", True,
            "Validation or test rows that a filter took: figures on them would flatter.",
        ),
    ),
    judge=judge,
    table=DATASET,
    technologies=("parquet", "pandas"),
)  # fmt: skip
