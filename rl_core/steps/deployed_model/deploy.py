"""deployed_model, done: publish what passed the gate, and let the pointers serve it.

Dagster's checks protect this step only inside one run, so it verifies for itself: that nothing it
stands on is stale or was stopped by a check, the report's verdict, that the report judged this very
policy, and the hashes of the whole lineage.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from typing import Any

from rl_core.base.errors import TollgateError
from rl_core.base.settings import first_differing_section, merge_settings, slice_settings
from rl_core.judging.report import GateReport
from rl_core.learning.models.policy_file import INITIAL_HEADS, SPEC, WEIGHTS, load_policy
from rl_core.steps.bars import BARS, BarsFacts
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.context import DeskContext, Opened
from rl_core.steps.deployed_model.card import card_html, card_markdown, in_order
from rl_core.steps.ppo_policy.step import PPO, as_trained
from rl_core.steps.prediction_validation.step import GATE, read_report
from rl_core.steps.runner import require_inputs_sound
from rl_core.steps.step import Step
from rl_core.steps.walk_forward.figures import WalkForwardReport
from rl_core.steps.walk_forward.step import WALK_FORWARD
from rl_core.steps.walk_forward.step import read_report as read_walk_report
from rl_core.store.artifacts import SealedArtifact
from rl_core.store.migrations import serving_slice
from rl_core.store.models import Ancestor, DataSpan, Manifest, Version

SOFTWARE = ("tollgate", "torch", "numpy", "pandas", "TA-Lib")


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


def build_manifest(
    context: DeskContext, report: GateReport, lineage: Mapping[str, SealedArtifact]
) -> Manifest:
    """The manifest of a new version; the store adds the files' hashes."""
    now = datetime.now(UTC)
    policy = context.open_artifact(PPO, lineage[PPO.name].identity)
    clone = context.open_artifact(CLONE, lineage[CLONE.name].identity)
    bars: Opened[BarsFacts] = context.open_artifact(BARS, lineage[BARS.name].identity)
    config = settings_used(context, lineage, policy)
    return Manifest(
        desk=context.desk.name,
        version=f"{now:%Y%m%dT%H%M%S%f}Z-{policy.content[:8]}",
        stage="champion" if report.is_skilled else "shadow",
        created_at=now.isoformat(timespec="seconds"),
        software={name: installed_version(name) for name in SOFTWARE},
        files={},
        data=DataSpan(
            first_bar=bars.facts.start,
            last_bar=bars.facts.end,
            bars=bars.facts.rows,
            market=context.desk.bars.market_name,
            content=bars.content,
        ),
        lineage={
            name: Ancestor(content=artifact.content, identity=artifact.identity)
            for name, artifact in lineage.items()
        },
        metrics={
            "test": {name: p.model_dump() for name, p in report.performance.items()},
            "predictions": {horizon: m.model_dump() for horizon, m in report.predictions.items()},
            "bc": clone.facts.model_dump(mode="json"),
            "ppo": policy.facts.model_dump(mode="json"),
        },
        checks=report.all_checks,
        config=config,
        serving=serving_slice(config),
        trials=0 if report.skill is None else report.skill.trials,
        intervals={horizon: each.model_dump() for horizon, each in report.intervals.items()},
    )


def settings_used(
    context: DeskContext, lineage: Mapping[str, SealedArtifact], policy: Opened[Any]
) -> dict[str, Any]:
    """The settings with which each step was in fact built, command-line options included.

    Where several steps read a section, the first one in the chain decides.
    """
    slices = [
        as_trained(policy) if step.name == PPO.name else lineage[step.name].seal.settings
        for step in reversed((*GATE.ancestors, GATE))
    ]
    return merge_settings(context.desk.resolved(), *slices)


def documents(
    context: DeskContext, manifest: Manifest, report: GateReport, gate: Opened[Any]
) -> dict[str, bytes]:
    """The model card, its plots and the gate's report: what lies beside the weights."""
    walk = walked(context)
    pictures = {name: gate.read(name) for name in gate.seal.files if name.endswith(".png")}
    if walk is not None:
        pictures |= {n: walk[0].read(n) for n in walk[0].seal.files if n.endswith(".png")}
    plots = {name: pictures[name] for name in in_order(pictures)}
    card = card_markdown(manifest, report, list(plots), None if walk is None else walk[1])
    return {
        "model_card.md": card.encode(),
        "model_card.html": card_html(card, plots).encode(),
        "gate_report.json": report.model_dump_json(indent=2).encode(),
        **plots,
    }


def walked(context: DeskContext) -> tuple[Opened[Any], WalkForwardReport] | None:
    """The walk forward of the desk's settings, whatever bars came since; None if there is none."""
    if not context.artifacts.has(WALK_FORWARD.name):
        return None
    opened = context.open_artifact(WALK_FORWARD)
    ignored = ("walk_forward",)  # how it was walked stands in the report
    found = slice_settings(opened.seal.settings, WALK_FORWARD.reads, ignored)
    now = slice_settings(context.slice_of(WALK_FORWARD), WALK_FORWARD.reads, ignored)
    if first_differing_section(found, now):
        return None
    return opened, read_walk_report(opened)
