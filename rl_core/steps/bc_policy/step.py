"""bc_policy, declared; torch is loaded by the build alone."""

from rl_core.base.checks import Check, CheckSpec
from rl_core.steps.bc_policy.facts import CloneFacts
from rl_core.steps.context import DeskContext, Opened, Task
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.step import Step


def build(task: Task) -> CloneFacts:
    """Clone the teacher's behaviour from the filtered training rows."""
    from rl_core.steps.bc_policy.clones import build as build_clones

    return build_clones(task)


def judge(context: DeskContext, clone: Opened[CloneFacts]) -> list[Check]:
    """Warn of a clone that learned nothing or learned by heart."""
    train, validation = clone.facts.train, clone.facts.validation
    limit = context.desk.gate.max_loss_gap
    gap = validation.imitation_loss - train.imitation_loss
    return [
        CLONE.verdict(
            "clone_beats_the_majority_class",
            validation.accuracy > validation.majority_share,
            f"validation accuracy {validation.accuracy:.3f}, balanced "
            f"{validation.balanced_accuracy:.3f}, majority class {validation.majority_share:.3f}",
            accuracy=validation.accuracy,
            majority_share=validation.majority_share,
        ),
        CLONE.verdict(
            "clone_did_not_learn_by_heart",
            gap <= limit,
            f"imitation loss {train.imitation_loss:.3f} on train, "
            f"{validation.imitation_loss:.3f} on validation, limit of the gap {limit}"
            + "".join(f"; try {advice}" for advice in clone.facts.overfitting.advice),
            gap=gap,
        ),
    ]


CLONE = Step(
    name="bc_policy",
    about="""A network that decides as the teacher did: behaviour cloning.

Cross-entropy on the action, squared error on the strength, masked Huber on the return heads. Runs
`tollgate bc` as a child process.""",
    facts=CloneFacts,
    build=build,
    needs=(REGIMES,),
    reads=("model", "bc", "dataset.horizons"),
    checks=(
        CheckSpec(
            "clone_beats_the_majority_class", False,
            "A clone that always takes the commonest action: see tollgate bc --class-balance.",
        ),
        CheckSpec(
            "clone_did_not_learn_by_heart", False,
            "A clone that fits its training rows alone: the advice stands in the verdict.",
        ),
    ),
    judge=judge,
    judged_by=("gate.max_loss_gap",),
    runs="child",
    command="bc",
    technologies=("pytorch",),
)  # fmt: skip
