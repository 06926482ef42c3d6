"""Generalised advantage estimation. Shapes: T steps, N environments."""

import torch
from torch import Tensor


def compute_gae(
    rewards: Tensor,
    values: Tensor,
    last_value: Tensor,
    terminated: Tensor,
    *,
    discount: float,
    gae_lambda: float,
) -> Tensor:
    """Advantages, (T, N).

    A terminated step bootstraps nothing and ends the trace. The window's last step bootstraps
    from `last_value`, the value of the observation before any reset, because there the episode
    was cut off and not over.

    Args:
        rewards: (T, N).
        values: (T, N) of the observations acted on.
        last_value: (N,) of the observation after the last step.
        terminated: (T, N) bool.
        discount: gamma.
        gae_lambda: lambda.

    Source: Schulman et al. 2015, eq. 16, https://arxiv.org/abs/1506.02438
    """
    advantages = torch.empty_like(rewards)
    alive = (~terminated).to(rewards.dtype)
    next_value, advantage = last_value, torch.zeros_like(last_value)
    for t in reversed(range(len(rewards))):
        delta = rewards[t] + discount * alive[t] * next_value - values[t]
        advantage = delta + discount * gae_lambda * alive[t] * advantage
        advantages[t] = advantage
        next_value = values[t]
    return advantages
