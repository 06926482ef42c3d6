"""deployed_model, done: publish what passed the gate, and let the pointers serve it.

Dagster's checks protect this step only inside one run, so it verifies for itself: that nothing it
stands on is stale or was stopped by a check, the report's verdict, that the report judged this very
policy, and the hashes of the whole lineage.
"""

from typing import Any

from rl_core.base.errors import TollgateError
from rl_core.judging.report import GateReport
from rl_core.learning.models.policy_file import INITIAL_HEADS, SPEC, WEIGHTS, load_policy
from rl_core.steps.context import DeskContext
from rl_core.steps.deployed_model.documents import documents
from rl_core.steps.deployed_model.manifest import build_manifest
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction_validation.step import GATE, read_report
from rl_core.steps.runner import require_inputs_sound
from rl_core.steps.step import Step
from rl_core.store.models import Version


def deploy(context: DeskContext, step: Step[Any]) -> Version:
    """Publish the policy that passed the gate; it is served as `shadow`, if skilled as `champion`.

    Args:
        context: the desk.
        step: `deployed_model`, which names what it stands on.

    Raises:
        TollgateError: it did not pass, or something in its lineage is not what it was.
    """
    with context.models.lock("deploying"):
        require_inputs_sound(context, step)
        gate = context.open_artifact(GATE)
        lineage = context.artifacts.lineage(gate.artifact)
        report = read_report(gate)
        policy = context.input_of(gate, PPO)
        require_passed(report, policy.content)
        require_same_champion(context, report)
        load_policy(policy, context.kind.state.names)  # refuses weights that could not be served
        manifest = build_manifest(context, report, lineage)
        files = {name: policy.read(name) for name in (WEIGHTS, SPEC, INITIAL_HEADS)}
        files |= documents(context, manifest, report, gate)
        version = context.models.publish(files, manifest)
        context.models.point("shadow", manifest.version)
        if report.is_skilled:
            context.models.point("champion", manifest.version)
    return version


def require_passed(report: GateReport, policy: str) -> None:
    """Refuse a report that failed or that judged another policy."""
    failed = [check.name for check in report.checks if check.is_blocking and not check.passed]
    if failed or not report.is_safe or not report.checks:
        culprits = ", ".join(failed) or "a report without a passing verdict"
        raise TollgateError(f"a model must pass the gate to be deployed, was refused by {culprits}")
    if report.policy != policy:
        raise TollgateError(
            f"the gate's report must judge the policy that is deployed, was about "
            f"{report.policy[:12]} and not {policy[:12]}"
        )


def require_same_champion(context: DeskContext, report: GateReport) -> None:
    """Refuse to replace a champion that the report was not compared with."""
    now = context.models.pointers().get("champion")
    then = None if report.champion is None else report.champion.version
    if report.is_skilled and now != then:
        raise TollgateError(
            f"a new champion must be judged against the one that is there, was judged against "
            f"{then or 'none'} and now there is {now or 'none'}: run tollgate gate again"
        )
