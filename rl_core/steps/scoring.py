"""How a policy is scored on a span: validation in training, the test span in the gate."""

import pandas as pd

from rl_core.features.prepare import PreparedMarket
from rl_core.kinds.registry import AccountWalk, DeskKind
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.policy_walk import PolicyDecisions, decide


def split_span(dataset: pd.DataFrame, split: str) -> tuple[int, int]:
    """First and last bar of a split."""
    bars = dataset.loc[dataset["split"] == split, "bar"]
    return int(bars.min()), int(bars.max())


def evaluate_policy(
    kind: DeskKind,
    market: PreparedMarket,
    model: ActorCritic,
    span: tuple[int, int],
    *,
    memory_bars: int | None,
) -> tuple[PolicyDecisions, AccountWalk]:
    """Walk a policy through a span at full costs, with one account.

    Args:
        kind: of the desk.
        market: all bars.
        model: the policy.
        span: first and last bar.
        memory_bars: a recurrent policy forgets so often.
    """
    trading = kind.trading(market, next(model.parameters()).device, memory_bars)
    decisions = decide(model, trading, span)
    return decisions, kind.walk(market, span[0], decisions.action, decisions.strength)
