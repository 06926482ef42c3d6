"""The champion, walked through the same test span as the policy that challenges it."""

from dataclasses import dataclass

import numpy as np

from rl_core.base.errors import TollgateError
from rl_core.judging.report import ChampionComparison
from rl_core.kinds.registry import AccountWalk
from rl_core.learning.models.policy_file import WEIGHTS, load_policy
from rl_core.learning.policy_walk import PolicyDecisions
from rl_core.steps.context import Workplace, first_difference
from rl_core.steps.scoring import evaluate_policy
from rl_core.store.models import Version

LEARNERS = ("model", "bc", "ppo", "ensemble", "regime_filter")
# sections that both are judged by as they are now; the others say what a policy sees and does
OF_TODAY = ("bars", "splits", "dataset", "costs", "account")


@dataclass(frozen=True)
class Rival:
    """What came of the comparison."""

    comparison: ChampionComparison
    walk: AccountWalk | None  # None: it is the same policy, or cannot trade here


def champion_on(
    work: Workplace, weights: str, span: tuple[int, int], decisions: PolicyDecisions
) -> Rival | None:
    """The champion's way through a span; None if the desk has no champion.

    Args:
        work: the desk.
        weights: SHA-256 of the challenger's.
        span: first and last bar of the test span.
        decisions: of the challenger.
    """
    if "champion" not in work.store.pointers():
        return None
    version = work.store.served("champion")
    manifest = version.manifest
    same = ChampionComparison(
        version=manifest.version,
        last_bar=manifest.data.last_bar,
        is_same_policy=True,
        agreement=1.0,
        settings=settings_that_differ(work, version),
    )
    if manifest.files[WEIGHTS] == weights:
        return Rival(same, None)
    try:
        action, walk = walk_champion(work, version, span)
    except TollgateError as error:
        found = {"is_same_policy": False, "agreement": None, "reason": str(error)}
        return Rival(same.model_copy(update=found), None)
    agreement = float((action == decisions.action).mean())
    found = {"is_same_policy": False, "agreement": agreement}
    return Rival(same.model_copy(update=found), walk)


def walk_champion(
    work: Workplace, version: Version, span: tuple[int, int]
) -> tuple[np.ndarray, AccountWalk]:
    """Its actions (S,) and its account, with its own thresholds and at the desk's costs.

    Raises:
        TollgateError: it was trained to see or to do something else than the desk now does.
    """
    then, now = version.manifest.config, work.desk.resolved()
    names = [name for name in work.desk.shared_sections if name not in OF_TODAY]
    pairs = [(name, then.get(name), now[name]) for name in names]
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
    champion = load_policy(version.directory)
    market = work.read_market(champion.spec.thresholds)
    decisions, walk = evaluate_policy(work.kind, market, champion.model, span)
    return decisions.action, walk


def settings_that_differ(work: Workplace, version: Version) -> list[str]:
    """The first setting of each section that is not as the champion's was."""
    now, then = work.desk.resolved(), version.manifest.config
    sections = dict.fromkeys([*work.desk.shared_sections, *LEARNERS])
    found = (first_difference(then.get(name), now.get(name), name) for name in sections)
    return [difference for difference in found if difference is not None]
