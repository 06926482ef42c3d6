"""Several policies as one: majority vote on the action, mean strength; N rows, A actions."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rl_core.learning.models.actor_critic import Heads
from rl_core.learning.models.hybrid_action import most_likely_action


def vote(members: Sequence[Heads]) -> tuple[Tensor, Tensor]:
    """The ensemble's actions (N,) int64 and strengths (N,) in (0, 1).

    A tie goes to the action with the higher mean probability among those that tie; the strength is
    the mean of those members that voted for the action.
    """
    actions = torch.stack([most_likely_action(heads).category for heads in members])
    strengths = torch.stack([most_likely_action(heads).strength for heads in members])
    probabilities = torch.stack([heads.logits.softmax(dim=-1) for heads in members]).mean(dim=0)
    votes = torch.zeros_like(probabilities).scatter_add_(
        1, actions.T, torch.ones_like(actions.T, dtype=probabilities.dtype)
    )
    action = (votes + 0.5 * probabilities).argmax(dim=-1)  # probabilities only break ties
    agrees = (actions == action).to(strengths.dtype)
    return action, (strengths * agrees).sum(dim=0) / agrees.sum(dim=0)
