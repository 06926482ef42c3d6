"""deployed_model: a new version in the model store, and the pointers that serve it.

The asset checks protect this link only inside one run, so it verifies for itself: the checks of
bars and datasets that stop a chain, the report's verdict, that the report judged this very policy,
and the hashes of the whole lineage.
"""

from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from typing import Any

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError
from rl_core.base.files import exclusive_lock
from rl_core.judging.report import GateReport
from rl_core.learning.models.policy_file import INITIAL_HEADS, SPEC, WEIGHTS, load_policy
from rl_core.steps import CHAIN
from rl_core.steps.context import Workplace
from rl_core.steps.deployed_model.card import card_html, card_markdown, in_order
from rl_core.steps.prediction_validation.step import read_report
from rl_core.steps.soundness import require_sound
from rl_core.steps.walk_forward.report import WalkForwardReport
from rl_core.steps.walk_forward.step import read_report as read_walk_report
from rl_core.store.artifacts import Artifact
from rl_core.store.models import Ancestor, DataSpan, Manifest, Version

SETTINGS_OF_LINK = {  # sections that only one link uses; ppo_policy's are taken from itself
    "ensemble": "backtest_history",
    "regime_filter": "regime_dataset",
    "bc": "bc_policy",
    "model": "bc_policy",
    "gate": "prediction_validation",
}
SOFTWARE = ("tollgate", "torch", "numpy", "pandas", "TA-Lib")


def deploy(work: Workplace) -> Version:
    """Publish the policy that passed the gate; it is served as `shadow`, if skilled as `champion`.

    Raises:
        TollgateError: it did not pass, or something in its lineage is not what it was.
    """
    with exclusive_lock(work.store.directory / ".deploy.lock", f"deploying {work.desk.name}"):
        lineage = work.lake.lineage("prediction_validation")
        for artifact in lineage.values():
            work.require_same_settings(artifact)
        require_sound(work)
        report = read_report(work)
        policy = lineage["ppo_policy"]
        require_passed(report, policy.content)
        require_same_champion(work, report)
        manifest = build_manifest(work, report, lineage)
        files = {name: policy.files[name] for name in (WEIGHTS, SPEC, INITIAL_HEADS)}
        source = work.lake.directory / "ppo_policy"
        version = work.store.publish(source, files, manifest, documents(work, manifest, report))
        work.store.point("shadow", manifest.version)
        if report.is_skilled:
            work.store.point("champion", manifest.version)
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


def require_same_champion(work: Workplace, report: GateReport) -> None:
    """Refuse to replace a champion that the report was not compared with."""
    now = work.store.pointers().get("champion")
    then = None if report.champion is None else report.champion.version
    if report.is_skilled and now != then:
        raise TollgateError(
            f"a new champion must be judged against the one that is there, was judged against "
            f"{then or 'none'} and now there is {now or 'none'}: run tollgate gate again"
        )


def build_manifest(work: Workplace, report: GateReport, lineage: dict[str, Artifact]) -> Manifest:
    """The manifest of a new version; the store adds the files' hashes."""
    now = datetime.now(UTC)
    bars = lineage["bars"]
    return Manifest(
        desk=work.desk.name,
        version=f"{now:%Y%m%dT%H%M%S%f}Z-{lineage['ppo_policy'].content[:8]}",
        stage="champion" if report.is_skilled else "shadow",
        created_at=now.isoformat(timespec="seconds"),
        software={name: installed_version(name) for name in SOFTWARE},
        files={},
        data=DataSpan(
            first_bar=bars.metadata["start"],
            last_bar=bars.metadata["end"],
            bars=bars.metadata["rows"],
            market=work.desk.bars.market_name,
            content=bars.content,
        ),
        lineage={
            name: Ancestor(content=artifact.content, identity=artifact.identity)
            for name, artifact in lineage.items()
        },
        metrics={
            "test": {name: p.model_dump() for name, p in report.performance.items()},
            "predictions": {horizon: m.model_dump() for horizon, m in report.predictions.items()},
            "bc": lineage["bc_policy"].metadata,
            "ppo": lineage["ppo_policy"].metadata,
        },
        checks=report.all_checks,
        config=settings_used(lineage),
        trials=0 if report.skill is None else report.skill.trials,
        intervals={horizon: each.model_dump() for horizon, each in report.intervals.items()},
    )


def documents(work: Workplace, manifest: Manifest, report: GateReport) -> dict[str, str | bytes]:
    """The model card, its plots and the gate's report: what lies beside the weights."""
    walk = read_walk(work)
    links = ["prediction_validation", *([] if walk is None else ["walk_forward"])]
    plots = in_order(plot for link in links for plot in work.lake.path(link, "").glob("*.png"))
    card = card_markdown(manifest, report, plots, walk)
    return {
        "model_card.md": card,
        "model_card.html": card_html(card, plots),
        "gate_report.json": report.model_dump_json(indent=2),
        **{plot.name: plot.read_bytes() for plot in plots},
    }


def settings_used(lineage: dict[str, Artifact]) -> dict[str, Any]:
    """The settings with which each link was in fact built, command-line options included."""
    settings = dict(lineage["ppo_policy"].config)
    for section, link in SETTINGS_OF_LINK.items():
        settings[section] = lineage[link].config[section]
    return settings


def read_walk(work: Workplace) -> WalkForwardReport | None:
    """The walk forward of the desk's settings, whatever bars came since; None if there is none."""
    if not work.lake.has("walk_forward"):
        return None
    artifact = work.lake.load("walk_forward")
    now = work.desk.resolved()
    sections = (*work.desk.shared_sections, "model", "bc", "ppo", "ensemble", "regime_filter")
    if any(artifact.config.get(name) != now[name] for name in sections):
        return None
    return read_walk_report(work)


def run_checks(work: Workplace) -> list[Check]:
    """What the pointer serves is what was deployed, and it loads."""
    try:
        version = work.store.served("shadow")
        load_policy(version.directory)
        detail = f"{version.manifest.version}: every hash holds and the policy loads"
        is_intact = True
    except TollgateError as error:
        detail, is_intact = str(error), False
    return [
        Check(
            name="served_model_is_intact",
            passed=is_intact,
            is_blocking=CHAIN["deployed_model"]["served_model_is_intact"],
            detail=detail,
        )
    ]
