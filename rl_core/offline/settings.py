"""Settings of the offline dataset and of its regime filter."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rl_core.base.units import length_ns
from rl_core.features.settings import RegimeFilterMode


class DatasetConfig(BaseModel):
    """Horizons of the return targets, and what the dataset must satisfy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    horizons: tuple[str, ...] = Field(default=("1h", "24h"), min_length=1)
    max_unknown_share: float = Field(
        default=0.05, ge=0, lt=1, description="of each horizon's targets"
    )
    max_moment_error: float = Field(
        default=0.1, gt=0, description="|mean| and sd of targets against the bars' own, in sd"
    )
    lookahead_probes: int = Field(
        default=16, gt=0, description="bars at which features are recomputed"
    )

    @field_validator("horizons")
    @classmethod
    def _are_distinct_spans(cls, horizons: tuple[str, ...]) -> tuple[str, ...]:
        if len({length_ns(h) for h in horizons}) < len(horizons):
            raise ValueError(f"horizons must differ, was {horizons}")
        if any(length_ns(h) <= 0 for h in horizons):
            raise ValueError(f"horizons must be positive, was {horizons}")
        return horizons


class RegimeFilterConfig(BaseModel):
    """Which training rows to learn from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: RegimeFilterMode = "all"
    min_train_rows: int = Field(default=500, ge=1)
