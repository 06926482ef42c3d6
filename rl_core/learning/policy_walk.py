"""Walk a policy through a span of bars, one account, always the likeliest action.

The policy decides in the environment it was trained in, at full costs; its decisions then go
through the backtest's engine, whose account must agree.

A recurrent policy remembers what it saw since its memory last began anew, which happens at fixed
moments (`memory_starts`), as often as in training. So it remembers the same bars when it is judged
and when it is served. Shapes: B bars, S bars of the span, H horizons.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rl_core.learning.envs.core import MarketEnvironment
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.models.hybrid_action import most_likely_action


@dataclass(frozen=True)
class PolicyDecisions:
    """What a policy decided at each bar of a span."""

    action: NDArray[np.int8]  # (S,)
    strength: NDArray[np.float64]  # (S,)
    states: NDArray[np.float32]  # (S, F + P)
    predicted_returns: NDArray[np.float64]  # (S, H) fractions, before clipping
    equity: NDArray[np.float64]  # (S,) by the environment's own account
    memory: torch.Tensor | None  # (G, 1, D) of a recurrent policy after the last decision


def memory_starts(ns: NDArray[np.int64], bar_ns: int, memory_bars: int | None) -> NDArray[np.bool_]:
    """Bars (B,) at which a recurrent policy's memory begins anew.

    The clock is absolute, so neither earlier nor later bars move it.

    Args:
        ns: (B,) moment of each bar.
        bar_ns: mean time from bar to bar.
        memory_bars: as long as a rollout of training; None for a policy without memory.
    """
    if memory_bars is None:
        return np.zeros(len(ns), dtype=bool)
    stretch = ns // (memory_bars * bar_ns)
    return np.concatenate([[True], stretch[1:] != stretch[:-1]])


@torch.no_grad()
def memory_before(
    model: ActorCritic,
    environment: MarketEnvironment[Any],
    bar: int,
    first_bar: int,
    starts: NDArray[np.bool_],
) -> torch.Tensor | None:
    """What a recurrent policy remembers before it sees a bar: (G, 1, D), or None for nothing.

    It trades the bars since its memory began anew, on an account of its own that opens there.

    Args:
        model: the policy.
        environment: at full costs.
        bar: the one that is to be decided on.
        first_bar: the first with complete features.
        starts: (B,) as `memory_starts` gives them.
    """
    if not model.is_recurrent or starts[bar]:
        return None
    begun = np.flatnonzero(starts[: bar + 1])
    first = max(first_bar, int(begun[-1]) if len(begun) else 0)
    if first >= bar:
        return None
    return decide(model, environment, [(first, bar - 1)], starts).memory


@torch.no_grad()
def decide(
    model: ActorCritic,
    environment: MarketEnvironment[Any],
    spans: Sequence[tuple[int, int]],
    starts: NDArray[np.bool_],
) -> PolicyDecisions:
    """Trade one account a span, from the close of its first bar to that of its last.

    One span is the real thing: an account's way. Several that follow each other are faster, since
    they are walked side by side, and each begins with a new account.

    Args:
        model: the policy.
        environment: at full costs, on the model's device; float64 prices for exact accounts.
        spans: first and last bar of each; the last decision no longer fills. A broken rule ends
            nothing: the account goes on as the environment's own rules say.

        starts: (B,) bars at which a recurrent policy's memory begins anew.

    Returns:
        The decisions of all spans, one span after the other.
    """
    model.eval()
    device = environment.features.device
    first, last = torch.tensor(spans, device=device).T
    lengths = [end - begin + 1 for begin, end in spans]
    num_steps = torch.tensor(lengths, device=device)
    state, memory = environment.open_accounts(first, last), None
    forgets = torch.from_numpy(starts).to(device)
    rows: list[tuple[torch.Tensor, ...]] = []
    for t in range(max(lengths)):
        seen = environment.observe(state)
        observation = torch.cat([environment.features[seen.bar], seen.account_features], dim=-1)
        if memory is not None:
            memory = torch.where(forgets[seen.bar][None, :, None], torch.zeros_like(memory), memory)
        heads = model(observation, memory)
        memory = heads.memory
        action = most_likely_action(heads)
        strength, returns = action.strength.double(), heads.returns * model.return_scale
        rows.append((action.category, strength, observation, returns, environment.equity(state)))
        if t + 1 < min(lengths):
            state = environment.step(state, action.category, strength).state
        elif t + 1 < max(lengths):
            is_over = num_steps <= t + 1  # what is over stays on the last bar of its span
            elsewhere = environment.auto_reset(
                is_over, state, environment.open_accounts(first, last)
            )
            after = environment.step(elsewhere, action.category, strength).state
            state = environment.auto_reset(is_over, after, state)
    is_walked = (torch.arange(len(rows), device=device)[:, None] < num_steps).T
    category, strengths, states, predicted, equity = (
        torch.stack(column, dim=1)[is_walked].cpu().numpy() for column in zip(*rows, strict=True)
    )
    return PolicyDecisions(
        category.astype(np.int8), strengths, states, predicted.astype(np.float64),
        equity, memory,
    )  # fmt: skip
