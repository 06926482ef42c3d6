"""The champion, walked through the same test span as the policy that challenges it."""

from dataclasses import dataclass

import numpy as np

from rl_core.chain.scoring import evaluate_policy
from rl_core.chain.workplace import Workplace, first_difference
from rl_core.errors import TollgateError
from rl_core.evaluation.gate import ChampionComparison
from rl_core.evaluation.policy_walk import PolicyDecisions
from rl_core.families import AccountWalk
from rl_core.models.policy_file import load_policy
from rl_core.registry.store import Version

COMPARED = ("model", "bc", "ppo", "ensemble", "regime_filter", "splits", "costs", "account", "bars")


@dataclass(frozen=True)
class Rival:
    """What came of the comparison."""

    comparison: ChampionComparison
    walk: AccountWalk | None  # None: it is the same policy, or cannot trade here


def champion_on(
    work: Workplace, policy: str, span: tuple[int, int], decisions: PolicyDecisions
) -> Rival | None:
    """The champion's way through a span; None if the desk has no champion.

    Args:
        work: the desk.
        policy: content hash of the challenger.
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
    if manifest.lineage["ppo_policy"].content == policy:
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
        TollgateError: it reads other features, or chooses from other actions.
    """
    champion = load_policy(version.directory)
    wanted = (work.family.state.names, work.family.actions)
    if (champion.spec.features, champion.spec.actions) != wanted:
        raise TollgateError(
            f"the champion must read the desk's features and choose from its actions, was trained "
            f"to choose from {', '.join(champion.spec.actions)}"
        )
    market = work.read_market(champion.spec.thresholds)
    decisions, walk = evaluate_policy(work.family, market, champion.model, span)
    return decisions.action, walk


def settings_that_differ(work: Workplace, version: Version) -> list[str]:
    """The first setting of each section that is not as the champion's was."""
    now, then = work.desk.resolved(), version.manifest.config
    found = (first_difference(then.get(name), now.get(name), name) for name in COMPARED)
    return [difference for difference in found if difference is not None]
