"""From observations to features: standardisation, MLP, optional GRU.

Shapes: N environments or rows, F observation features, D hidden width, L GRU layers.
"""

import itertools

import torch
from torch import Tensor, nn

from rl_core.models.config import ModelConfig

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

    def forward(self, observations: Tensor) -> Tensor:
        """(N, F) -> (N, F), in standard deviations of the training rows."""
        return ((observations - self.mean) / self.scale).clamp(
            -STANDARDISED_LIMIT, STANDARDISED_LIMIT
        )


class Encoder(nn.Module):
    """MLP with layer normalisation, then an optional GRU."""

    def __init__(self, observation_size: int, config: ModelConfig) -> None:
        super().__init__()
        widths = [observation_size] + [config.hidden_dim] * config.encoder_layers
        layers: list[nn.Module] = []
        for width_in, width_out in itertools.pairwise(widths):
            layers += [nn.Linear(width_in, width_out), nn.ReLU(), nn.LayerNorm(width_out)]
        self.mlp = nn.Sequential(*layers, nn.Dropout(config.dropout))
        self.gru = (
            nn.GRU(config.hidden_dim, config.hidden_dim, config.gru_layers)
            if config.gru_layers
            else None
        )

    def forward(
        self, observations: Tensor, memory: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        """One step: (N, F) and memory (L, N, D) -> features (N, D) and the next memory."""
        features = self.mlp(observations)
        if self.gru is None:
            return features, None
        outputs, memory = self.gru(features.unsqueeze(0), memory)
        return outputs.squeeze(0), memory
