"""walk_forward, declared: the whole procedure on one fold after the other, each trained anew.

Folds end before the gate's test span, which nothing but the gate reads, so what is chosen by
walking forward can still be tested. Nothing here is judged by the gate or counted as a trial: it
measures the procedure, not a model.
"""

from rl_core.base.checks import Check, CheckSpec
from rl_core.base.errors import validated
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext, Opened, Task
from rl_core.steps.sections import ACCOUNT, LIMITS, MARKET
from rl_core.steps.step import Facts, Step
from rl_core.steps.walk_forward.figures import WalkForwardReport

REPORT, REPORT_TEXT = "report.json", "report.md"
COVERAGE_TOLERANCE = 0.02


class WalkFacts(Facts):
    """The figures of a walk forward in its seal."""

    scheme: str
    folds: int
    seeds: int
    verdict: str
    policy_sharpe: float | None  # interquartile mean over the seeds, annual
    coverage: dict[str, float]  # horizon -> of the intervals, pooled over the folds
    overlapping_labels: int


def build(task: Task) -> WalkFacts:
    """Train and test the procedure on one fold after the other."""
    from rl_core.steps.walk_forward.walk import build as walk

    return walk(task)


def read_report(walk: Opened[WalkFacts]) -> WalkForwardReport:
    """The sealed report of a walk forward."""
    return validated(WalkForwardReport, walk.read_json(REPORT), f"{REPORT} of walk_forward")


def judge(_context: DeskContext, walk: Opened[WalkFacts]) -> list[Check]:
    """No label crosses a border, and intervals hold what they promise."""
    report = read_report(walk)
    off = max((abs(c - report.promised) for c in report.coverage.values()), default=0.0)
    held = ", ".join(f"{horizon} {c:.1%}" for horizon, c in report.coverage.items())
    return [
        WALK_FORWARD.verdict(
            "folds_do_not_overlap",
            report.overlapping_labels == 0,
            f"{report.overlapping_labels} rows whose target reaches another split",
            rows=report.overlapping_labels,
        ),
        WALK_FORWARD.verdict(
            "intervals_hold_what_they_promise",
            off <= COVERAGE_TOLERANCE,
            f"{report.promised:.0%} intervals held {held or 'nothing: no forecasts'}, "
            f"within {COVERAGE_TOLERANCE:.0%} of it",
            **report.coverage,
        ),
    ]


WALK_FORWARD = Step(
    name="walk_forward",
    about="""The whole procedure, trained anew on one fold after the other.

Purged and embargoed folds, several seeds; the test spans stitched together. It judges the procedure
and no model, so the gate does not read it; the model card shows it. Runs `tollgate walk-forward` as
a child process; folds that are done are not done again.""",
    facts=WalkFacts,
    build=build,
    needs=(BARS,),
    reads=(
        *MARKET, *ACCOUNT, "environment", "dataset", "ensemble", "regime_filter", "model", "bc",
        "ppo", "walk_forward",
    ),
    ignores=(*LIMITS, "ppo.checkpoint_every", "ppo.mode", "ppo.train_heads_only"),
    checks=(
        CheckSpec(
            "folds_do_not_overlap", True,
            "Labels that reach into another split: the folds' figures would flatter.",
        ),
        CheckSpec(
            "intervals_hold_what_they_promise", False,
            "Intervals beside forecasts that hold more or less than they promise.",
        ),
    ),
    judge=judge,
    runs="child",
    command="walk-forward",
    is_in_chain=False,
    technologies=("pytorch",),
)  # fmt: skip
