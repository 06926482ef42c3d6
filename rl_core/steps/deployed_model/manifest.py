"""The manifest of a new version: where it comes from, and how it was judged."""

from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import version as installed_version
from typing import Any

from rl_core.base.settings import merge_settings
from rl_core.judging.report import GateReport
from rl_core.steps.bars import BARS, BarsFacts
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.context import DeskContext, Opened
from rl_core.steps.ppo_policy.step import PPO, as_trained
from rl_core.steps.prediction_validation.step import GATE
from rl_core.store.artifacts import SealedArtifact
from rl_core.store.migrations import serving_slice
from rl_core.store.models import Ancestor, DataSpan, Manifest

SOFTWARE = ("tollgate", "torch", "numpy", "pandas", "TA-Lib")


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
