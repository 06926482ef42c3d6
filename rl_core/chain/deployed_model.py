"""deployed_model: a new version in the model store, and the pointer that serves it.

The gate's asset checks protect this link only inside one run, so it verifies for itself: the
report's verdict, that the report judged this very policy, and the hashes of the whole lineage.
"""

from datetime import UTC, datetime
from importlib.metadata import version as installed_version

from rl_core.chain.prediction_validation import read_report
from rl_core.chain.workplace import Workplace
from rl_core.checks import Check
from rl_core.errors import TollgateError
from rl_core.evaluation.gate import GateReport
from rl_core.evaluation.report import markdown
from rl_core.models.policy_file import SPEC, WEIGHTS, load_policy
from rl_core.registry.store import DataSpan, Manifest, Version

CHECKS = {"served_model_is_intact": True}
SOFTWARE = ("tollgate", "torch", "numpy", "pandas", "TA-Lib")


def deploy(work: Workplace) -> Version:
    """Publish the policy that passed the gate and move the `shadow` pointer to it.

    Raises:
        TollgateError: it did not pass, or something in its lineage is not what it was.
    """
    lineage = work.lake.lineage("prediction_validation")
    report = read_report(work)
    require_passed(report, lineage["ppo_policy"])
    manifest = build_manifest(work, report, lineage)
    source = work.lake.directory / "ppo_policy"
    version = work.store.publish(source, [WEIGHTS, SPEC], manifest, model_card(manifest, report))
    work.store.point("shadow", manifest.version)
    return version


def require_passed(report: GateReport, policy: str) -> None:
    """Refuse a report that failed or that judged another policy."""
    failed = [check.name for check in report.checks if check.is_blocking and not check.passed]
    if failed or not report.is_safe or not report.checks:
        raise TollgateError(
            f"a model must pass the gate to be deployed, was refused by {', '.join(failed)}"
        )
    if report.policy != policy:
        raise TollgateError(
            f"the gate's report must judge the policy that is deployed, was about "
            f"{report.policy[:12]} and not {policy[:12]}"
        )


def build_manifest(work: Workplace, report: GateReport, lineage: dict[str, str]) -> Manifest:
    """The manifest of a new version; the store adds the files' hashes."""
    now = datetime.now(UTC)
    bars, bc, ppo = (work.lake.seal(name) for name in ("bars", "bc_policy", "ppo_policy"))
    return Manifest(
        desk=work.desk.name,
        version=f"{now:%Y%m%dT%H%M%S%fZ}-{lineage['ppo_policy'][:8]}",
        stage="shadow",
        created_at=now.isoformat(timespec="seconds"),
        software={name: installed_version(name) for name in SOFTWARE},
        files={},
        data=DataSpan(
            first_bar=bars.metadata["start"],
            last_bar=bars.metadata["end"],
            bars=bars.metadata["rows"],
            content=lineage["bars"],
        ),
        lineage=lineage,
        metrics={
            "test": {name: p.model_dump() for name, p in report.performance.items()},
            "predictions": {horizon: m.model_dump() for horizon, m in report.predictions.items()},
            "bc": bc.metadata,
            "ppo": ppo.metadata,
        },
        checks=report.checks,
        config=work.desk.resolved(),
    )


def model_card(manifest: Manifest, report: GateReport) -> str:
    """What a person should know before using the version."""
    lineage = "\n".join(
        f"| {name} | `{content[:16]}` |" for name, content in manifest.lineage.items()
    )
    return f"""# Model card: {manifest.desk} {manifest.version}

Stage **{manifest.stage}**: served and logged; its vote weighs nothing. Skill is not judged yet, so
nothing here says that it earns money.

- Data: {manifest.data.bars} bars, {manifest.data.first_bar} to {manifest.data.last_bar}
- Limits: trained on this market, bar size and cost level; not valid for any other.

| made from | content (SHA-256) |
|---|---|
{lineage}

{markdown(report)}"""


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
            is_blocking=CHECKS["served_model_is_intact"],
            detail=detail,
        )
    ]
