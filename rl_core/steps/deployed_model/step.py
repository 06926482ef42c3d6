"""deployed_model, declared: a version in the model store, and the pointers that serve it."""

from typing import Any

from rl_core.base.checks import Check, CheckSpec
from rl_core.base.errors import TollgateError
from rl_core.steps.context import DeskContext, Task
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.step import Facts, Step
from rl_core.store.models import Manifest


class DeployedFacts(Facts):
    """What the UI shows of a deployed version."""

    version: str
    stage: str
    bars: int
    last_bar: str
    test_total_return: float | None


def build(task: Task) -> DeployedFacts:
    """Publish the policy that passed the gate."""
    from rl_core.steps.deployed_model.deploy import deploy

    return deployed_facts(deploy(task.context, task.step).manifest)


def deployed_facts(manifest: Manifest) -> DeployedFacts:
    """The figures of a version that people look at first."""
    return DeployedFacts(
        version=manifest.version,
        stage=manifest.stage,
        bars=manifest.data.bars,
        last_bar=manifest.data.last_bar,
        test_total_return=manifest.metrics["test"]["policy"]["total_return"],
    )


def judge(context: DeskContext, _opened: Any) -> list[Check]:
    """What the pointer serves is what was deployed, and it loads."""
    from rl_core.serving.loaded import LoadedModel

    try:
        version = context.models.served("shadow")
        context.models.verify(version)
        LoadedModel.of_version(version)
        detail = f"{version.manifest.version}: every hash holds and the policy loads"
        is_intact = True
    except TollgateError as error:
        detail, is_intact = str(error), False
    return [DEPLOYED.verdict("served_model_is_intact", is_intact, detail)]


DEPLOYED = Step(
    name="deployed_model",
    about="""A version in the model store, served as `shadow`, and as `champion` if it showed skill.

Verifies the gate's report and the hashes of the whole lineage itself, so that it cannot be reached
around the gate. Stale if no retrain succeeded for eight days.""",
    facts=DeployedFacts,
    build=build,
    needs=(GATE,),
    checks=(
        CheckSpec(
            "served_model_is_intact", True,
            "A served model that was changed on disk: roll back, or deploy again.",
        ),
    ),
    judge=judge,
    command="deploy",
    kept_in="models",
    technologies=("safetensors",),
)  # fmt: skip
