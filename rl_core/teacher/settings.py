"""Settings of the rule-based teacher."""

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator


class SessionRules(BaseModel):
    """When an intraday trader enters, and when it is home."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    skip_open_minutes: float = Field(default=15.0, ge=0, description="no entry before")
    last_entry_minutes: float = Field(default=60.0, ge=0, description="no entry nearer the close")
    regular_hours_only: bool = Field(default=True, description="enter while the stocks trade")
    follow_vwap: bool = Field(default=True, description="buy above the session's VWAP, sell below")
    leave_minutes: float = Field(default=10.0, ge=0, description="flat from then to the close")


class TechnicalConfig(BaseModel):
    """A trend follower that does not chase an exhausted move."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entry_momentum: float = Field(
        default=1.0, gt=0, description="in standard deviations of 20 bars"
    )
    full_momentum: float = Field(default=2.0, gt=0, description="momentum of strength 1")
    overbought_rsi: float = Field(default=0.80, gt=0.5, lt=1)
    oversold_rsi: float = Field(default=0.20, gt=0, lt=0.5)

    @model_validator(mode="after")
    def _strength_grows_from_the_entry(self) -> Self:
        if self.full_momentum < self.entry_momentum:
            raise ValueError(
                "full_momentum must be at least entry_momentum, "
                f"was {self.full_momentum} and {self.entry_momentum}"
            )
        return self


class NewsConfig(BaseModel):
    """Follows news and macro sentiment, if a source is configured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(default=0.2, gt=0, lt=1, description="|sentiment| from which it acts")


class RiskConfig(BaseModel):
    """Leaves the market when it is too wild or when its data cannot be trusted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum_health: float = Field(default=0.8, ge=0, le=1)
    crash_momentum: float = Field(
        default=0.5, gt=0, description="falling faster in high volatility"
    )


class AnalystWeights(BaseModel):
    """Weight of each analyst's vote in the teacher."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    technical: float = Field(default=1.0, ge=0)
    news: float = Field(default=1.0, ge=0)
    risk: float = Field(default=1.0, ge=0)


class EnsembleConfig(BaseModel):
    """The rule-based teacher: its analysts and their vote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: AnalystWeights = AnalystWeights()
    vote_threshold: float = Field(default=0.1, ge=0, lt=1, description="|score| from which it acts")
    technical: TechnicalConfig = TechnicalConfig()
    news: NewsConfig = NewsConfig()
    risk: RiskConfig = RiskConfig()
    session: SessionRules = Field(
        default=SessionRules(), description="heeded where the market has sessions"
    )
