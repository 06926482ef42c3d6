"""Configuration of the environments."""

from pydantic import BaseModel, ConfigDict, Field

from rl_core.envs.curriculum import Ramp


class WindowConfig(BaseModel):
    """Rules and reward of an environment of windows; costs and positions come from the desk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_drawdown: float = Field(default=0.5, gt=0, le=1, description="fraction of peak equity")
    reward_scale: float = Field(
        default=100.0, gt=0, description="100: reward in percent log growth"
    )


class FuturesRewardConfig(BaseModel):
    """The parts of the futures reward."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd_per_unit: float = Field(default=50.0, gt=0, description="P&L that earns a reward of 1")
    target_bonus: float = Field(default=1.0, ge=0, description="for a take-profit")
    idle_penalty: float = Field(default=0.005, ge=0, description="per bar without a position")
    exploration_bonus: float = Field(
        default=0.2, ge=0, description="for a trade, when training begins; anneals to 0"
    )
    exploration_until: float = Field(
        default=0.5, gt=0, le=1, description="share of the training at which it has gone"
    )


class FuturesCurriculum(BaseModel):
    """What begins easier than the desk's own setting, which is where each ramp ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commission_usd: Ramp | None = Ramp(start=1.0)
    stop: Ramp | None = Field(default=None, description="distance, in the unit of the brackets")
    target: Ramp | None = Field(default=None, description="distance, likewise")
    max_contracts: Ramp | None = Field(default=None, description="position size")
    max_holding_bars: Ramp | None = Field(default=None, description="market exposure")


class FuturesEnvConfig(BaseModel):
    """Episodes, reward and curriculum of the futures environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    episode_bars: int = Field(default=1380, ge=1, description="then an account starts anew")
    reward: FuturesRewardConfig = FuturesRewardConfig()
    curriculum: FuturesCurriculum = FuturesCurriculum()
