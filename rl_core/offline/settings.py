"""Settings of the offline dataset and of its regime filter."""

from pydantic import BaseModel, ConfigDict, Field, field_validator

from rl_core.base.units import NS_PER_DAY, NS_PER_HOUR, length_ns, length_text
from rl_core.features.settings import RegimeFilterMode


def whole_bar_horizons(interval_ns: int) -> tuple[str, str]:
    """Two horizons that are whole bars: the next bar and a day of them, or the next day and week.

    A week later a market with weekends is open again.
    """
    if interval_ns >= NS_PER_DAY:
        return f"{interval_ns // NS_PER_HOUR}h", f"{7 * interval_ns // NS_PER_HOUR}h"
    return length_text(interval_ns), length_text(24 * interval_ns)


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
