"""Settings of the features: regimes and sentiment."""

from pathlib import Path
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

RegimeFilterMode = Literal["all", "high_volatility", "trending", "ranging"]


class RegimeConfig(BaseModel):
    """How the thresholds between volatility regimes are fitted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low_quantile: float = Field(default=1 / 3, gt=0, lt=1)
    high_quantile: float = Field(default=2 / 3, gt=0, lt=1)
    high_atr_quantile: float = Field(
        default=0.6, gt=0, lt=1, description="the high-volatility filter keeps bars above it"
    )
    trending_adx: float = Field(
        default=0.25, gt=0, lt=1, description="ADX / 100 from which it trends"
    )

    @model_validator(mode="after")
    def _quantiles_ascend(self) -> Self:
        if self.low_quantile >= self.high_quantile:
            raise ValueError(
                "low_quantile must be below high_quantile, "
                f"was {self.low_quantile} and {self.high_quantile}"
            )
        return self


class SentimentConfig(BaseModel):
    """An optional source of news and macro sentiment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = None
    max_age_hours: float = Field(default=24.0, gt=0)
