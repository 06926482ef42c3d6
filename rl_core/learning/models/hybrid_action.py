"""The hybrid action: a category, and for an order a strength in (0, 1).

Strength is sigmoid(z) with z normal around the head's logit. Probabilities are those of z, so the
sigmoid's Jacobian, the same under every policy, never appears; HOLD draws no strength and so its z
has no probability. Shapes: N rows, A actions.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from rl_core.learning.models.actor_critic import ActorCritic, Heads
from rl_core.trading.accounts import HOLD

_HALF_LOG_TWO_PI = 0.9189385332046727


class HybridAction(NamedTuple):
    """A batch of sampled actions, each a category with a strength."""

    category: Tensor  # (N,) int64
    strength_logit: Tensor  # (N,) z

    @property
    def strength(self) -> Tensor:
        """(N,) in (0, 1), the sigmoid of the sampled logit."""
        return self.strength_logit.sigmoid()


class ActionLogProb(NamedTuple):
    """Log-probability of actions and entropy of the policy that would draw them."""

    log_prob: Tensor  # (N,) nats
    entropy: Tensor  # (N,) nats, of the category alone


class Noise(NamedTuple):
    """The randomness of one step, drawn before it, so that a step itself is a pure function."""

    gumbel: Tensor  # (N, A)
    normal: Tensor  # (N,)


def draw_noise(
    rows: int, num_actions: int, generator: torch.Generator, device: torch.device
) -> Noise:
    """Noise for the actions of some rows."""
    uniform = torch.rand(rows, num_actions, generator=generator, device=device)
    gumbel = -torch.log(-torch.log(uniform.clamp(1e-10, 1 - 1e-7)))
    return Noise(gumbel, torch.randn(rows, generator=generator, device=device))


def sample_action(model: ActorCritic, heads: Heads, noise: Noise) -> HybridAction:
    """Draw a category by the Gumbel-max trick and a strength logit, without a host sync."""
    category = (heads.logits + noise.gumbel).argmax(dim=-1)
    if heads.strength is None:
        return HybridAction(category, torch.zeros_like(noise.normal))
    return HybridAction(category, heads.strength + noise.normal * model.strength_log_std.exp())


def most_likely_action(heads: Heads) -> HybridAction:
    """The category with the highest probability, at its mean strength logit."""
    category = heads.logits.argmax(dim=-1)
    mean = heads.strength if heads.strength is not None else torch.zeros_like(heads.value)
    return HybridAction(category, mean)


def action_log_prob(model: ActorCritic, heads: Heads, action: HybridAction) -> ActionLogProb:
    """Log-probability of given actions under the current heads; rows may have any shape."""
    log_probs = F.log_softmax(heads.logits, dim=-1)
    log_prob = log_probs.gather(-1, action.category.unsqueeze(-1)).squeeze(-1)
    entropy = -(log_probs.exp() * log_probs).sum(dim=-1)
    if heads.strength is None:
        return ActionLogProb(log_prob, entropy)
    standardised = (action.strength_logit - heads.strength) * torch.exp(-model.strength_log_std)
    strength_log_prob = -0.5 * standardised**2 - model.strength_log_std - _HALF_LOG_TWO_PI
    is_order = (action.category != HOLD).to(log_prob.dtype)
    return ActionLogProb(log_prob + is_order * strength_log_prob, entropy)


def divergence(model: ActorCritic, heads: Heads, reference: Heads, reference_std: Tensor) -> Tensor:
    """KL(reference || policy) of the hybrid action by row, nats; the strength counts when ordered.

    Args:
        model: whose strength spread the policy uses.
        heads: of the policy.
        reference: of the policy to stay near; no gradient.
        reference_std: () spread of its strength logit.
    """
    log_probs = F.log_softmax(heads.logits, dim=-1)
    reference_log_probs = F.log_softmax(reference.logits, dim=-1)
    probabilities = reference_log_probs.exp()
    kl = (probabilities * (reference_log_probs - log_probs)).sum(dim=-1)
    if heads.strength is None or reference.strength is None:
        return kl
    std = model.strength_log_std.exp()
    shift = (reference.strength - heads.strength) ** 2
    strength_kl = torch.log(std / reference_std) + (reference_std**2 + shift) / (2 * std**2) - 0.5
    return kl + (1 - probabilities[..., HOLD]) * strength_kl
