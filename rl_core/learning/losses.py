"""Losses: pure, in float32, masked where a target is unknown. Shapes: M rows, H horizons."""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

LOG_RATIO_LIMIT = 20.0


class PolicyLoss(NamedTuple):
    """The clipped surrogate and what it says about the update."""

    loss: Tensor  # (), minimise
    approx_kl: Tensor  # (), nats, k3 estimator
    clip_fraction: Tensor  # (), share of samples outside the clip range


def ppo_policy_loss(
    log_prob: Tensor, old_log_prob: Tensor, advantage: Tensor, *, clip: float
) -> PolicyLoss:
    """Clipped surrogate loss, averaged over the minibatch.

    Args:
        log_prob: (M,) log-probability of each action under the current policy.
        old_log_prob: (M,) the same under the policy that acted; no gradient.
        advantage: (M,) already normalised; no gradient.
        clip: half-width of the trust interval around a ratio of 1.

    Source: Schulman et al. 2017, eq. 7, https://arxiv.org/abs/1707.06347
    """
    log_ratio = (log_prob - old_log_prob).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    ratio = log_ratio.exp()
    clipped_ratio = ratio.clamp(1 - clip, 1 + clip)
    loss = -torch.minimum(ratio * advantage, clipped_ratio * advantage).mean()
    with torch.no_grad():
        approx_kl = (ratio - 1 - log_ratio).mean()
        clip_fraction = ((ratio - 1).abs() > clip).float().mean()
    return PolicyLoss(loss, approx_kl, clip_fraction)


def value_loss(value: Tensor, old_value: Tensor, target: Tensor, *, clip: float | None) -> Tensor:
    """Mean squared error of values (M,); with `clip`, of the worse of value and clipped value.

    Source: Schulman et al.'s implementation, described in Engstrom et al. 2020, section 3,
    https://arxiv.org/abs/2005.12729
    """
    error = (value - target).square()
    if clip is None:
        return error.mean()
    near = old_value + (value - old_value).clamp(-clip, clip)
    return torch.maximum(error, (near - target).square()).mean()


def masked_huber_loss(
    prediction: Tensor,
    target: Tensor,
    delta: float,
    average: Callable[[Tensor], Tensor] = lambda count: count,
) -> Tensor:
    """Huber loss per horizon over the known targets, (H,); 0 where none is known.

    Args:
        prediction: (M, H) in standardised units.
        target: (M, H) in the same units; NaN is unknown.
        delta: where the loss turns from square to linear.
        average: all-reduce mean of the number of valid targets, so that DDP's averaged gradient
            equals that of the concatenated batch.

    The unknown is replaced before it is masked: 0 x NaN is NaN in the backward pass too.
    """
    is_known = ~target.isnan()
    replaced = torch.where(is_known, target, torch.zeros_like(target))
    loss = F.huber_loss(prediction.float(), replaced.float(), reduction="none", delta=delta)
    known = average(is_known.sum(dim=0).float())
    return (loss * is_known).sum(dim=0) / torch.where(known > 0, known, 1.0)


def strength_loss(strength_logit: Tensor, strength: Tensor, is_order: Tensor) -> Tensor:
    """Mean squared error of sigmoid(logit) on orders, (); a HOLD has no strength to imitate."""
    error = (strength_logit.sigmoid() - strength) ** 2
    return (error * is_order).sum() / is_order.sum().clamp(min=1)


def focal_loss(logits: Tensor, actions: Tensor, gamma: float) -> Tensor:
    """Cross-entropy in which easy rows count little, ().

    Args:
        logits: (N, A).
        actions: (N,) int64.
        gamma: 0 is plain cross-entropy.

    Source: Lin et al. 2017, eq. 4 without alpha, https://arxiv.org/abs/1708.02002
    """
    error = F.cross_entropy(logits, actions, reduction="none")
    return ((1 - torch.exp(-error)) ** gamma * error).mean()
