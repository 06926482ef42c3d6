"""Configuration of the network."""

from pydantic import BaseModel, ConfigDict, Field


class ModelConfig(BaseModel):
    """Shape of the actor-critic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden_dim: int = Field(default=128, ge=1)
    encoder_layers: int = Field(default=2, ge=1)
    gru_layers: int = Field(default=0, ge=0)
    head_dim: int = Field(default=64, ge=1, description="width of the policy and value heads")
    dropout: float = Field(default=0.1, ge=0, lt=1)
