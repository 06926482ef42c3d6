"""Configuration of the environments."""

from pydantic import BaseModel, ConfigDict, Field


class SpotEnvConfig(BaseModel):
    """Rules and reward of the spot environment; costs and positions come from the desk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_drawdown: float = Field(default=0.5, gt=0, le=1, description="fraction of peak equity")
    reward_scale: float = Field(
        default=100.0, gt=0, description="100: reward in percent log growth"
    )
