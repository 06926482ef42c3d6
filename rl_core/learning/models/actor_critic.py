"""The actor-critic of every desk.

Encoder -> policy head (categories, and a strength if the desk has one), value head, one linear
return head per horizon in standardised units, and an optional risk head. Nothing is clamped inside
the graph. Under autocast the return and risk heads still run in float32, and what the policy and
value heads say becomes float32 before anything is made of it.
Shapes: L time steps, N rows, F features, A actions, H horizons, D hidden width, G GRU layers.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rl_core.learning.models.encoder import Encoder, Standardiser
from rl_core.learning.settings import ModelConfig

PREDICTED_RETURN_LIMIT = 1.0  # +-100%, applied where a prediction is served, never in training
RISK_CLASSES = 3  # low, normal, high


class Heads(NamedTuple):
    """What the network says about a batch of observations; float32."""

    logits: Tensor  # (..., A) of the categories
    strength: Tensor | None  # (...) logit of the mean strength
    value: Tensor  # (...) discounted future reward
    returns: Tensor  # (..., H) in units of `return_scale`
    risk: Tensor | None = None  # (..., 3) logits of low, normal and high volatility to come
    memory: Tensor | None = None  # (G, N, D) after the last step


def map_heads(function: Callable[..., Tensor], *heads: Heads) -> Heads:
    """Apply a function to each column of one or several heads; what is not there stays so."""

    def optional(columns: Sequence[Tensor | None]) -> Tensor | None:
        return None if columns[0] is None else function(*columns)

    return Heads(
        logits=function(*(each.logits for each in heads)),
        strength=optional([each.strength for each in heads]),
        value=function(*(each.value for each in heads)),
        returns=function(*(each.returns for each in heads)),
        risk=optional([each.risk for each in heads]),
    )


class ActorCritic(nn.Module):
    """Shared encoder with policy, value, return and risk heads."""

    return_scale: Tensor
    return_shrinkage: Tensor

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
        self.risk_head = nn.Linear(config.hidden_dim, RISK_CLASSES) if config.risk_head else None
        self.register_buffer("return_scale", torch.ones(num_horizons))
        self.register_buffer("return_shrinkage", torch.ones(num_horizons))  # once it is trained
        if has_strength:
            self.strength_log_std = nn.Parameter(torch.tensor(-1.0))
        self.num_actions = num_actions
        self.has_strength = has_strength

    @property
    def is_recurrent(self) -> bool:
        """Does a decision depend on earlier observations?"""
        return self.encoder.gru is not None

    def forward(self, observations: Tensor, memory: Tensor | None = None) -> Heads:
        """All heads for one step, (N, F) as observed."""
        inputs = self.standardiser(observations).unsqueeze(0)
        features, memory = self.encoder(inputs, memory)
        return self.heads(features.squeeze(0), memory)

    def heads(self, features: Tensor, memory: Tensor | None = None) -> Heads:
        """All heads for encoded features, (..., D)."""
        policy = self.policy_head(features).float()
        return Heads(
            logits=policy[..., : self.num_actions],
            strength=policy[..., self.num_actions] if self.has_strength else None,
            value=self.value(features),
            returns=self.standardised_returns(features),
            risk=None if self.risk_head is None else _linear_in_float32(self.risk_head, features),
            memory=memory,
        )

    def value(self, features: Tensor) -> Tensor:
        """Value of encoded states, (..., D) -> (...)."""
        return self.value_head(features).float().squeeze(-1)

    def standardised_returns(self, features: Tensor) -> Tensor:
        """(..., D) -> (..., H); empty when the network has no return heads."""
        if self.return_heads is None:
            return features.new_zeros(*features.shape[:-1], 0)
        return _linear_in_float32(self.return_heads, features)

    def forecasts(self, standardised: Tensor) -> Tensor:
        """Standardised predictions (..., H) as fractions, each shrunk to its honest size."""
        return standardised * self.return_scale * self.return_shrinkage

    def predicted_returns(self, standardised: Tensor) -> Tensor:
        """Standardised predictions (N, H) as served: forecasts, clipped to +-100%."""
        limit = PREDICTED_RETURN_LIMIT
        return self.forecasts(standardised).clamp(-limit, limit)


def head_weights(model: ActorCritic) -> dict[str, Tensor]:
    """A copy of the return heads' weights (H, D) and biases (H,); empty if there are none."""
    heads = {} if model.return_heads is None else model.return_heads.state_dict()
    return {name: tensor.detach().cpu().clone() for name, tensor in heads.items()}


def _head(config: ModelConfig, outputs: int) -> nn.Sequential:
    if not config.head_dim:
        return nn.Sequential(nn.Linear(config.hidden_dim, outputs))
    norm = [nn.LayerNorm(config.head_dim)] if config.layer_norm else []
    return nn.Sequential(
        nn.Linear(config.hidden_dim, config.head_dim),
        nn.ReLU(),
        *norm,
        nn.Linear(config.head_dim, outputs),
    )


def _linear_in_float32(layer: nn.Module, features: Tensor) -> Tensor:
    with torch.autocast(features.device.type, enabled=False):
        return layer(features.float())
