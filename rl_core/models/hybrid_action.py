"""The hybrid action: a category, and for an order a strength in (0, 1).

Strength is sigmoid(z) with z normal around the head's logit. Probabilities are those of z, so the
sigmoid's Jacobian, the same under every policy, never appears; HOLD draws no strength and so its z
has no probability. Shapes: N rows, A actions.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rl_core.models.actor_critic import ActorCritic, Heads
from rl_core.trading.accounts import HOLD

_HALF_LOG_TWO_PI = 0.9189385332046727


class HybridAction(NamedTuple):
    """A batch of sampled actions."""

    category: Tensor  # (N,) int64
    strength_logit: Tensor  # (N,) z

    @property
    def strength(self) -> Tensor:
        """(N,) in (0, 1)."""
        return self.strength_logit.sigmoid()


class ActionLogProb(NamedTuple):
    """Log-probability of actions and entropy of the policy that would draw them."""

    log_prob: Tensor  # (N,) nats
    entropy: Tensor  # (N,) nats, of the category alone


def sample_action(
    model: ActorCritic, heads: Heads, generator: torch.Generator | None
) -> HybridAction:
    """Draw a category by the Gumbel-max trick and a strength logit, without a host sync."""
    uniform = torch.rand(heads.logits.shape, generator=generator, device=heads.logits.device)
    gumbel = -torch.log(-torch.log(uniform.clamp(1e-10, 1 - 1e-7)))
    category = (heads.logits + gumbel).argmax(dim=-1)
    mean = _strength_mean(heads)
    noise = torch.randn(mean.shape, generator=generator, device=mean.device)
    return HybridAction(category, mean + noise * model.strength_log_std.exp())


def most_likely_action(heads: Heads) -> HybridAction:
    """The category with the highest probability, at its mean strength logit."""
    return HybridAction(heads.logits.argmax(dim=-1), _strength_mean(heads))


def action_log_prob(model: ActorCritic, heads: Heads, action: HybridAction) -> ActionLogProb:
    """Log-probability of given actions under the current heads."""
    log_probs = F.log_softmax(heads.logits.float(), dim=-1)
    log_prob = log_probs.gather(-1, action.category.unsqueeze(-1)).squeeze(-1)
    standardised = (action.strength_logit - _strength_mean(heads)) * torch.exp(
        -model.strength_log_std
    )
    strength_log_prob = -0.5 * standardised**2 - model.strength_log_std - _HALF_LOG_TWO_PI
    is_order = (action.category != HOLD).to(log_prob.dtype)
    entropy = -(log_probs.exp() * log_probs).sum(dim=-1)
    return ActionLogProb(log_prob + is_order * strength_log_prob, entropy)


def _strength_mean(heads: Heads) -> Tensor:
    if heads.strength is None:
        raise ValueError("a hybrid action needs a network with a strength head, was one without")
    return heads.strength
