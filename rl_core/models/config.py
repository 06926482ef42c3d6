"""Configuration of the network."""

from pydantic import BaseModel, ConfigDict, Field


class ModelConfig(BaseModel):
    """Shape of the actor-critic."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden_dim: int = Field(default=128, ge=1)
    encoder_layers: int = Field(default=2, ge=1)
    gru_layers: int = Field(default=0, ge=0)
    head_dim: int = Field(
        default=64, ge=0, description="width of the policy and value heads; 0: they are linear"
    )
    layer_norm: bool = Field(default=True, description="after every hidden layer")
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="after the encoder; on while cloning, off in PPO"
    )
    attention_dim: int = Field(
        default=0, ge=0, description="width of self-attention over the features; 0: none"
    )
    risk_head: bool = Field(default=False, description="three classes of volatility to come")

    def shape(self) -> str:
        """The settings that decide which weights fit, in words."""
        return ", ".join(
            f"{name} {value}" for name, value in self.model_dump(exclude={"dropout"}).items()
        )
