"""How a policy is scored on a span: validation in training, the test span in the gate."""

import numpy as np
import pandas as pd
import torch

from rl_core.features.prepare import PreparedMarket
from rl_core.kinds.registry import AccountWalk, DeskKind
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.policy_walk import PolicyDecisions, decide, memory_starts


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
    is_quick: bool = False,
) -> tuple[PolicyDecisions, AccountWalk]:
    """Walk a policy through a span at full costs: in its environment, then in the backtest.

    Args:
        kind: of the desk.
        market: all bars.
        model: the policy.
        span: first and last bar.
        memory_bars: a recurrent policy forgets so often.
        is_quick: decide with a new account in each of the stretches that the kind cuts the span
            into, rather than with one account throughout; the backtest has one account always.
    """
    device = next(model.parameters()).device
    spans = kind.independent_spans(market, span) if is_quick else [span]
    environment = kind.environment(market, device, torch.float64)
    starts = memory_starts(market.ns, kind.mean_bar_ns, memory_bars)
    decisions = decide(model, environment, spans, starts)
    walk = kind.walk(market, span[0], decisions.action, decisions.strength.astype(np.float64))
    return decisions, walk
