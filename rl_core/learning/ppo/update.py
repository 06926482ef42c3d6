"""What PPO minimises: one minibatch in, losses out.

Shapes: K steps of a chunk, M accounts of a minibatch, H horizons, A actions.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rl_core.learning.hardware.precision import Precision
from rl_core.learning.losses import masked_huber_loss, ppo_policy_loss, value_loss
from rl_core.learning.models.actor_critic import ActorCritic, Heads
from rl_core.learning.models.hybrid_action import HybridAction, action_log_prob, divergence
from rl_core.learning.ppo.rollout import SharedFeatures
from rl_core.learning.settings import PPOConfig


class Minibatch(NamedTuple):
    """The tensors that one policy update reads."""

    bar: Tensor  # (K, M) of the table
    account_features: Tensor  # (K, M, P)
    starts: Tensor | None  # (K, M) bool; None where the network has no memory
    memory: Tensor | None  # (G, M, D) before the chunk
    category: Tensor  # (K, M)
    strength_logit: Tensor  # (K, M)
    log_prob: Tensor  # (K, M)
    value: Tensor  # (K, M)
    advantage: Tensor  # (K, M)
    target: Tensor  # (K, M) of the value head
    clone: Heads | None  # what the clone says; None where it is not asked


class Losses(NamedTuple):
    """The loss and its parts; all but the first without gradient."""

    total: Tensor  # ()
    policy: Tensor  # ()
    value: Tensor  # ()
    entropy: Tensor  # () nats
    approx_kl: Tensor  # ()
    clip_fraction: Tensor  # ()
    clone_kl: Tensor  # ()
    returns: Tensor  # (H,)


@dataclass(frozen=True)
class ReturnTargets:
    """What the return heads learn, by table row."""

    horizons: tuple[str, ...]
    values: Tensor  # (B, H) in units of the model's return scale; NaN is unknown or not train

    def coefficients(self, config: PPOConfig) -> Tensor:
        """(H,) weight of each head's loss."""
        weights = [config.auxiliary_coefficient(horizon) for horizon in self.horizons]
        return torch.tensor(weights, device=self.values.device)


def policy_losses(
    model: ActorCritic,
    table: SharedFeatures,
    targets: Tensor,
    batch: Minibatch,
    weights: Tensor,
    clone: tuple[Tensor, Tensor] | None,
    config: PPOConfig,
    precision: Precision,
    average: Callable[[Tensor], Tensor],
) -> Losses:
    """Clipped surrogate - entropy + value + return heads + KL to the clone: a pure function.

    Args:
        model: the policy.
        table: of the environment.
        targets: (B, H) of the return heads, NaN is unknown.
        batch: of the rollout.
        weights: (H,) of the return heads' losses.
        clone: () weight of the KL to the clone and () spread of its strengths; None without.
        config: coefficients.
        precision: of the network.
        average: see `masked_huber_loss`.
    """
    row = batch.bar.long()
    with precision.autocast():
        features, _ = model.encoder(
            table.gather(row, batch.account_features), batch.memory, batch.starts
        )
        heads = model.heads(features)
    action = HybridAction(batch.category.long(), batch.strength_logit)
    policy = action_log_prob(model, heads, action)
    surrogate = ppo_policy_loss(policy.log_prob, batch.log_prob, batch.advantage, clip=config.clip)
    value = value_loss(heads.value, batch.value, batch.target, clip=config.value_clip)
    returns = masked_huber_loss(
        heads.returns.flatten(0, 1), targets[row].flatten(0, 1), config.huber_delta, average
    )
    entropy = policy.entropy.mean()
    total = (
        surrogate.loss
        - config.entropy_coefficient * entropy
        + config.value_coefficient * value
        + (weights * returns).sum()
    )
    clone_kl = torch.zeros_like(entropy)
    if clone is not None and batch.clone is not None:
        clone_kl = divergence(model, heads, batch.clone, clone[1]).mean()
        total = total + clone[0] * clone_kl
    return Losses(
        total, surrogate.loss.detach(), value.detach(), entropy.detach(), surrogate.approx_kl,
        surrogate.clip_fraction, clone_kl.detach(), returns.detach(),
    )  # fmt: skip


def return_head_losses(
    model: ActorCritic,
    table: SharedFeatures,
    targets: Tensor,
    batch: Minibatch,
    weights: Tensor,
    config: PPOConfig,
    precision: Precision,
    average: Callable[[Tensor], Tensor],
) -> tuple[Tensor, Tensor]:
    """The return heads' loss alone, on features that take no gradient: (), (H,)."""
    row = batch.bar.long()
    with torch.no_grad(), precision.autocast():
        features, _ = model.encoder(
            table.gather(row, batch.account_features), batch.memory, batch.starts
        )
    losses = masked_huber_loss(
        model.standardised_returns(features).flatten(0, 1),
        targets[row].flatten(0, 1),
        config.huber_delta,
        average,
    )
    return (weights * losses).sum(), losses.detach()


class Update(nn.Module):
    """The losses as a module, so that DistributedDataParallel can average their gradients.

    Args:
        model: whose parameters learn.
    """

    def __init__(self, model: ActorCritic) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, losses: Callable[..., Losses | tuple[Tensor, Tensor]], *rest: object
    ) -> object:
        """Call a loss function with the model."""
        return losses(self.model, *rest)
