"""From observations to features: standardisation, optional attention, MLP, optional GRU.

Shapes: L time steps, N environments or rows, F observation features, D hidden width, G GRU layers.
"""

import itertools

import torch
from torch import Tensor, nn

from rl_core.learning.settings import ModelConfig

STANDARDISED_LIMIT = 10.0  # inputs beyond 10 sd carry no more information, only instability


class Standardiser(nn.Module):
    """Fixed shift and scale of each input feature, fitted on the training rows."""

    mean: Tensor
    scale: Tensor

    def __init__(self, observation_size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(observation_size))
        self.register_buffer("scale", torch.ones(observation_size))

    @torch.no_grad()
    def fit(self, observations: Tensor) -> None:
        """Take mean and standard deviation from (N, F); a constant feature keeps scale 1."""
        spread = observations.std(dim=0)
        self.mean.copy_(observations.mean(dim=0))
        self.scale.copy_(torch.where(spread > 1e-8, spread, torch.ones_like(spread)))

    def forward(self, observations: Tensor, columns: slice = slice(None)) -> Tensor:
        """Some columns of observations, (..., C) -> (..., C), in sd of the training rows."""
        shifted = (observations - self.mean[columns]) / self.scale[columns]
        return shifted.clamp(-STANDARDISED_LIMIT, STANDARDISED_LIMIT)


class FeatureAttention(nn.Module):
    """Self-attention over the features of one observation, each a token of its own.

    A feature's token is its value times a learned direction, plus a learned place. The attended
    tokens are averaged and stand beside the features that they were made from.

    Source: Gorishniy et al. 2021, section 3.3, https://arxiv.org/abs/2106.11959
    """

    def __init__(self, observation_size: int, width: int) -> None:
        super().__init__()
        self.direction = nn.Parameter(torch.randn(observation_size, width) / width**0.5)
        self.place = nn.Parameter(torch.randn(observation_size, width) / width**0.5)
        self.attention = nn.MultiheadAttention(width, num_heads=1, batch_first=True)

    def forward(self, observations: Tensor) -> Tensor:
        """(..., F) -> (..., F + width)."""
        tokens = observations.flatten(0, -2).unsqueeze(-1) * self.direction + self.place
        attended = tokens + self.attention(tokens, tokens, tokens, need_weights=False)[0]
        pooled = attended.mean(dim=1).view(*observations.shape[:-1], -1)
        return torch.cat([observations, pooled.to(observations.dtype)], dim=-1)


class Encoder(nn.Module):
    """MLP with layer normalisation, then an optional GRU."""

    def __init__(self, observation_size: int, config: ModelConfig) -> None:
        super().__init__()
        width = config.attention_dim
        self.attention = FeatureAttention(observation_size, width) if width else None
        widths = [observation_size + width] + [config.hidden_dim] * config.encoder_layers
        layers: list[nn.Module] = []
        for width_in, width_out in itertools.pairwise(widths):
            layers += [nn.Linear(width_in, width_out), nn.ReLU()]
            if config.layer_norm:
                layers.append(nn.LayerNorm(width_out))
        self.mlp = nn.Sequential(*layers, nn.Dropout(config.dropout))
        self.gru = (
            nn.GRU(config.hidden_dim, config.hidden_dim, config.gru_layers)
            if config.gru_layers
            else None
        )

    def forward(
        self, observations: Tensor, memory: Tensor | None = None, starts: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """A stretch of time: features (L, N, D), and the memory after it if there is a GRU.

        Args:
            observations: (L, N, F), standardised.
            memory: (G, N, D) before the first step; zeros if left out.
            starts: (L, N) bool, where an episode begins: its memory is zero there.
        """
        inputs = observations if self.attention is None else self.attention(observations)
        features = self.mlp(inputs)
        if self.gru is None:
            return features, None
        if starts is None:
            return self.gru(features, memory)
        kept = memory
        if kept is None:
            kept = features.new_zeros(self.gru.num_layers, *features.shape[1:])
        outputs: list[Tensor] = []
        for step, is_start in zip(features.split(1), starts, strict=True):
            output, kept = self.gru(step, kept.masked_fill(is_start.unsqueeze(-1), 0.0))
            outputs.append(output)
        return torch.cat(outputs), kept
