"""Generalised advantage estimation. Shapes: T steps, N environments."""

import torch
from torch import Tensor


def compute_gae(
    rewards: Tensor,
    values: Tensor,
    next_values: Tensor,
    terminated: Tensor,
    ended: Tensor,
    *,
    discount: float,
    gae_lambda: float,
) -> Tensor:
    """Advantages, (T, N).

    A terminated step bootstraps nothing; one that was cut off bootstraps from the observation
    before its reset. Either ends the trace, and so does the rollout.

    Args:
        rewards: (T, N).
        values: (T, N) of the observations acted on.
        next_values: (T, N) of the observations after each step, before any reset.
        terminated: (T, N) bool, a rule was broken.
        ended: (T, N) bool, terminated or cut off.
        discount: gamma.
        gae_lambda: lambda.

    Source: Schulman et al. 2015, eq. 16, https://arxiv.org/abs/1506.02438
    """
    deltas = rewards + discount * next_values * ~terminated - values
    decay = discount * gae_lambda * (~ended).to(rewards.dtype)
    advantages = torch.empty_like(rewards)
    advantage = torch.zeros_like(rewards[0])
    for t in reversed(range(len(rewards))):
        advantage = deltas[t] + decay[t] * advantage
        advantages[t] = advantage
    return advantages


def normalise(advantages: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    """Mean 0 and sd 1; all 0 where they do not vary, as with a single one."""
    return (advantages - mean) / (variance.sqrt() + 1e-8)
