"""The champion, walked through the same test span as the policy that challenges it."""

from dataclasses import dataclass

import numpy as np

from rl_core.base.errors import TollgateError
from rl_core.base.settings import first_difference
from rl_core.judging.figures import SkillReport
from rl_core.judging.report import ChampionComparison
from rl_core.kinds.base import AccountWalk
from rl_core.learning.models.policy_file import WEIGHTS, load_policy
from rl_core.serving.loaded import memory_of
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext
from rl_core.steps.prediction_validation.judged import JudgedPolicy
from rl_core.steps.reading import read_market
from rl_core.steps.scoring import evaluate_policy, split_span
from rl_core.store.models import Version

AGAINST_CHAMPION = "holds_against_the_champion"
# Champion and challenger are evaluated with the desk's current values of everything else. These
# sections say what a policy sees and does: they must be equal for a comparison to mean something.
SEES_AND_DOES = (
    "kind", "quality", "sentiment", "regimes", "environment", "contract", "brackets", "rules",
    "allocations",
)  # fmt: skip
COMPARED = (
    *SEES_AND_DOES, "bars", "splits", "dataset", "costs", "account", "model", "bc", "ppo",
    "ensemble", "regime_filter",
)  # fmt: skip


@dataclass(frozen=True)
class ChampionWalk:
    """The comparison with the champion: its returns, or why there is none."""

    comparison: ChampionComparison
    walk: AccountWalk | None  # None: it is the same policy, or cannot trade here


def champion_on(judged: JudgedPolicy) -> ChampionWalk | None:
    """The champion's way through the span of its challenger; None if the desk has no champion."""
    context = judged.context
    if "champion" not in context.models.pointers():
        return None
    version = context.models.served("champion")
    manifest = version.manifest
    same = ChampionComparison(
        version=manifest.version,
        last_bar=manifest.data.last_bar,
        is_same_policy=True,
        agreement=1.0,
        settings=settings_that_differ(context, version),
    )
    if manifest.files[WEIGHTS] == judged.weights:
        return ChampionWalk(same, None)
    try:
        action, walk = walk_champion(judged, version)
    except TollgateError as error:
        why = {"is_same_policy": False, "agreement": None, "reason": str(error)}
        return ChampionWalk(same.model_copy(update=why), None)
    agreement = float((action == judged.decisions.action).mean())
    return ChampionWalk(
        same.model_copy(update={"is_same_policy": False, "agreement": agreement}), walk
    )


def walk_champion(judged: JudgedPolicy, version: Version) -> tuple[np.ndarray, AccountWalk]:
    """Its actions (S,) and its account, with its own thresholds and at the desk's costs.

    Raises:
        TollgateError: it was trained to see or to do something else than the desk now does.
    """
    context = judged.context
    then, now = version.manifest.config, context.desk.resolved()
    pairs = [(name, then.get(name), now.get(name)) for name in SEES_AND_DOES]
    pairs += [
        (f"bars.{name}", then["bars"].get(name), now["bars"][name])
        for name in ("symbol", "interval")
    ]
    for name, before, after in pairs:
        if difference := first_difference(before, after, name):
            raise TollgateError(
                f"the champion must see and do what the desk does, was trained with other "
                f"{difference}: a person has to decide, with tollgate models promote"
            )
    champion = load_policy(version.folder, context.kind.state.names)
    market = read_market(context, judged.input(BARS), champion.spec.thresholds)
    span = split_span(judged.dataset, "test")
    decisions, walk = evaluate_policy(
        context.kind, market, champion.model, span, memory_bars=memory_of(version, champion)
    )
    return decisions.action, walk


def speak_of_champion(skill: SkillReport, rival: ChampionWalk | None) -> SkillReport:
    """One that cannot be compared is not beaten; one of the same weights need not be."""
    if rival is None or rival.walk is not None:
        return skill
    reason = rival.comparison.reason
    detail = reason or f"the champion, {rival.comparison.version}, has the same weights"
    checks = [
        check.model_copy(update={"passed": not reason, "detail": detail})
        if check.name == AGAINST_CHAMPION
        else check
        for check in skill.checks
    ]
    return skill.with_checks(checks)


def settings_that_differ(context: DeskContext, version: Version) -> list[str]:
    """The first setting of each section that is not as the champion's was."""
    now, then = context.desk.resolved(), version.manifest.config
    found = (first_difference(then.get(name), now.get(name), name) for name in COMPARED)
    return [difference for difference in found if difference is not None]
