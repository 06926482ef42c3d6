"""What every desk has."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from rl_core.base.errors import validated
from rl_core.base.units import known_timezone, length_ns
from rl_core.features.settings import RegimeConfig, SentimentConfig
from rl_core.judging.settings import GateConfig, WalkForwardConfig
from rl_core.learning.settings import (
    LARGEST_SEED,
    CloningConfig,
    ModelConfig,
    PPOConfig,
)
from rl_core.market.settings import (
    BarsConfig,
    QualityConfig,
    SourceConfig,
    SplitConfig,
)
from rl_core.offline.settings import DatasetConfig, RegimeFilterConfig, whole_bar_horizons
from rl_core.teacher.settings import EnsembleConfig


class ScheduleConfig(BaseModel):
    """When something is started by the clock, as cron says."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str = Field(description="minute hour day month weekday")
    timezone: str = "UTC"
    is_enabled: bool = True

    @field_validator("cron")
    @classmethod
    def _is_a_cron_line(cls, cron: str) -> str:
        from croniter import croniter  # the library behind Dagster's schedules

        if len(cron.split()) != 5 or not croniter.is_valid(cron):
            raise ValueError(f"cron must be five fields such as 0 6 * * 1, was {cron!r}")
        try:  # a day that never comes, such as 30 February
            croniter(cron).get_next()
        except ValueError:
            raise ValueError(f"cron must name a time that comes, was {cron!r}") from None
        days, months = croniter.expand(cron)[0][2:4]
        if months == [2] and days in (
            [30],
            [31],
        ):  # refused by Dagster with a weekday beside it too
            raise ValueError(f"cron must name no 30 or 31 February, was {cron!r}")
        return cron

    @field_validator("timezone")
    @classmethod
    def _timezone_exists(cls, timezone: str) -> str:
        return known_timezone(timezone)


class RetrainConfig(ScheduleConfig):
    """When the whole chain runs by itself."""

    cron: str = Field(default="0 6 * * 1", description="minute hour day month weekday")


class UpdateConfig(ScheduleConfig):
    """When new bars are fetched by themselves; not while the market has been closed since."""

    cron: str = Field(default="2 * * * *", description="minute hour day month weekday")
    is_enabled: bool = False


# what Dagster takes for an owner
Owner = Annotated[
    str,
    Field(
        pattern=r"^(team:[A-Za-z0-9._ -]+|[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,7})$",
        description="an e-mail address, or team:name",
    ),
]


class CashConfig(BaseModel):
    """How much cash an account opens with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    initial_cash: float = Field(default=1_000_000.0, gt=0, description="account currency")


class DeskConfig(BaseModel, ABC):
    """The settings that every kind of desk has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = Field(default="", max_length=2000)
    owners: tuple[Owner, ...] = ("team:quant",)
    bars: SourceConfig
    quality: QualityConfig = QualityConfig()
    sentiment: SentimentConfig = SentimentConfig()
    regimes: RegimeConfig = RegimeConfig()
    splits: SplitConfig = SplitConfig()
    dataset: DatasetConfig = DatasetConfig()
    regime_filter: RegimeFilterConfig = RegimeFilterConfig()
    model: ModelConfig = ModelConfig()
    bc: CloningConfig = CloningConfig()
    ppo: PPOConfig = PPOConfig()
    gate: GateConfig = GateConfig()
    walk_forward: WalkForwardConfig = WalkForwardConfig()
    retrain: RetrainConfig = RetrainConfig()
    update: UpdateConfig = UpdateConfig()

    @model_validator(mode="after")
    def _parts_fit_together(self) -> Self:
        horizons, purge = self.dataset.horizons, self.splits.purge
        if any(length_ns(horizon) > length_ns(purge) for horizon in horizons):
            raise ValueError(
                f"splits.purge must be at least the longest of {horizons}, was {purge}"
            )
        if unknown := set(self.ppo.auxiliary_coefficients) - set(horizons):
            raise ValueError(
                f"ppo.auxiliary_coefficients must name {horizons}, was {sorted(unknown)}"
            )
        if max(self.walk_forward.seeds) > LARGEST_SEED:
            raise ValueError(
                f"walk_forward.seeds must be at most {LARGEST_SEED}, was "
                f"{max(self.walk_forward.seeds)}"
            )
        chunk = self.ppo.chunk_steps
        if self.model.gru_layers and self.ppo.rollout_steps % chunk:
            raise ValueError(
                f"ppo.rollout_steps must be a multiple of ppo.chunk_steps, was "
                f"{self.ppo.rollout_steps} and {chunk}"
            )
        return self

    @property
    @abstractmethod
    def initial_cash(self) -> float:
        """Cash that an account opens with, account currency."""

    def resolved(self) -> dict[str, Any]:
        """Every setting, defaults included, as JSON."""
        return self.model_dump(mode="json")

    def with_settings(self, settings: dict[str, Any], cleared: Sequence[str] = ()) -> Self:
        """A copy with some settings replaced and everything validated again.

        Args:
            settings: dotted path -> value, such as `{"ppo.iterations": 20}`; None is left out.
            cleared: dotted paths that become None first.
        """
        changed = self.resolved()
        given = [(path, value) for path, value in settings.items() if value is not None]
        for path, value in [*((path, None) for path in cleared), *given]:
            *parents, leaf = path.split(".")
            branch = changed
            for parent in parents:
                branch = branch[parent]
            branch[leaf] = value
        return validated(type(self), changed, "the command line")


class SeriesDesk(DeskConfig):
    """What desks that trade one instrument share."""

    bars: BarsConfig  # pyright: ignore[reportIncompatibleVariableOverride] - frozen: never set
    ensemble: EnsembleConfig = EnsembleConfig()

    @model_validator(mode="after")
    def _horizons_are_whole_bars(self) -> Self:
        interval = self.bars.interval_ns
        if parts := [h for h in self.dataset.horizons if length_ns(h) % interval]:
            whole = ", ".join(whole_bar_horizons(interval))
            raise ValueError(
                f"dataset.horizons must be whole bars of {self.bars.interval}, was "
                f"{', '.join(parts)}: set dataset.horizons, such as [{whole}], and splits.purge to "
                "the longest of them"
            )
        return self

    @model_validator(mode="after")
    def _what_is_kept_is_not_left_out_later(self) -> Self:
        others = [name for name in self.quality.repair if name != "contract"]
        if self.bars.grows and others:
            raise ValueError(
                "quality.repair of bars that are kept (download, keep_history) must be contract "
                f"alone, was {', '.join(others)} too: such a defect shows by the bars that follow, "
                "and a bar that was kept and served would be gone at the next update"
            )
        return self

    @property
    @abstractmethod
    def impact_coefficient(self) -> float:
        """Y of the impact law; 0 where fills have none."""
