"""The actor-critic of every desk.

Encoder -> policy head (categories, and a strength if the desk has one), value head, and one linear
return head per horizon in standardised units. Nothing is clamped inside the graph.
Shapes: N rows, F features, A actions, H horizons, D hidden width.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rl_core.models.config import ModelConfig
from rl_core.models.encoder import Encoder, Standardiser

PREDICTED_RETURN_LIMIT = 1.0  # +-100%, applied where a prediction is served, never in training


class Heads(NamedTuple):
    """What the network says about a batch of observations."""

    logits: Tensor  # (N, A) of the categories
    strength: Tensor | None  # (N,) logit of the mean strength
    value: Tensor  # (N,) discounted future reward
    returns: Tensor  # (N, H) in units of `return_scale`
    memory: Tensor | None  # (L, N, D)


class ActorCritic(nn.Module):
    """Shared encoder with policy, value and return heads."""

    return_scale: Tensor

    def __init__(
        self,
        observation_size: int,
        num_actions: int,
        num_horizons: int,
        config: ModelConfig,
        *,
        has_strength: bool = True,
    ) -> None:
        super().__init__()
        self.standardiser = Standardiser(observation_size)
        self.encoder = Encoder(observation_size, config)
        self.policy_head = _head(config, num_actions + int(has_strength))
        self.value_head = _head(config, 1)
        self.return_heads = nn.Linear(config.hidden_dim, num_horizons) if num_horizons else None
        self.register_buffer("return_scale", torch.ones(num_horizons))
        if has_strength:
            self.strength_log_std = nn.Parameter(torch.tensor(-1.0))
        self.num_actions = num_actions
        self.has_strength = has_strength

    def encode(
        self, observations: Tensor, memory: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """(N, F) -> features (N, D)."""
        return self.encoder(self.standardiser(observations), memory)

    def forward(self, observations: Tensor, memory: Tensor | None = None) -> Heads:
        """All heads for (N, F) observations."""
        features, memory = self.encode(observations, memory)
        policy = self.policy_head(features)
        return Heads(
            logits=policy[:, : self.num_actions],
            strength=policy[:, self.num_actions] if self.has_strength else None,
            value=self.value(features),
            returns=self.standardised_returns(features),
            memory=memory,
        )

    def value(self, features: Tensor) -> Tensor:
        """(N, D) -> (N,)."""
        return self.value_head(features).squeeze(-1)

    def standardised_returns(self, features: Tensor) -> Tensor:
        """(N, D) -> (N, H); empty when the network has no return heads."""
        if self.return_heads is None:
            return features.new_zeros(len(features), 0)
        return self.return_heads(features)

    def predicted_returns(self, standardised: Tensor) -> Tensor:
        """Standardised predictions (N, H) as served: fractions, clipped to +-100%."""
        limit = PREDICTED_RETURN_LIMIT
        return (standardised * self.return_scale).clamp(-limit, limit)


def _head(config: ModelConfig, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(config.hidden_dim, config.head_dim),
        nn.ReLU(),
        nn.LayerNorm(config.head_dim),
        nn.Linear(config.head_dim, outputs),
    )
