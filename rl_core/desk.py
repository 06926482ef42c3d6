"""A desk: one trading problem, in one YAML file that holds only what differs from the defaults.

Its `kind` says what is traded and how: `spot`, `futures` or `portfolio`. What the kinds share
stands in `DeskConfig`, and what only one of them knows in its own class; `rl_core/families` acts on
it.
Desk files lie in `rl_core/desks/` and in the folder that TOLLGATE_DESKS names.
"""

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rl_core.backtest.engine import AccountConfig
from rl_core.backtest.panel_preparation import PanelPreparation
from rl_core.backtest.preparation import PreparationConfig
from rl_core.ensemble.allocators import AllocatorConfig
from rl_core.ensemble.vote import EnsembleConfig
from rl_core.envs.config import FuturesEnvConfig, WindowConfig
from rl_core.errors import TollgateError, validated
from rl_core.evaluation.config import GateConfig
from rl_core.features.allocations import AllocationConfig
from rl_core.features.regimes import RegimeConfig
from rl_core.features.sentiment import SentimentConfig
from rl_core.market.bars import BarsConfig
from rl_core.market.panel import PanelConfig
from rl_core.market.quality import QualityConfig
from rl_core.market.source import SourceConfig, length_ns
from rl_core.market.splits import SplitConfig
from rl_core.models.config import ModelConfig
from rl_core.offline.dataset import DatasetConfig
from rl_core.offline.regime_filter import RegimeFilterConfig
from rl_core.runtime.strict_yaml import read_yaml
from rl_core.trading.costs import CostConfig
from rl_core.trading.futures import (
    BracketConfig,
    ContractConfig,
    FuturesAccountConfig,
    FuturesCostConfig,
    FuturesTrading,
    RulebookConfig,
)
from rl_core.trading.rebalancing import PortfolioCostConfig
from rl_core.training.config import CloningConfig, PPOConfig

PROJECT_ROOT = Path(__file__).resolve().parent.parent
PACKAGED_DESKS = Path(__file__).parent / "desks"


class RetrainConfig(BaseModel):
    """When the whole chain runs by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cron: str = Field(default="0 6 * * 1", pattern=r"^[0-9*,/-]+( [0-9*,/A-Za-z-]+){4}$")
    timezone: str = "UTC"
    is_enabled: bool = True

    @model_validator(mode="after")
    def _timezone_exists(self) -> Self:
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"timezone must be one such as UTC, was {self.timezone}") from None
        return self


class CashConfig(BaseModel):
    """What an account begins with."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    initial_cash: float = Field(default=1_000_000.0, gt=0, description="account currency")


class DeskConfig(BaseModel, ABC):
    """What every desk has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    # what every link of one chain must agree on: what a bar is, what is known of it, what it costs
    shared_sections: ClassVar[tuple[str, ...]] = (
        "kind", "bars", "quality", "sentiment", "regimes", "splits", "costs", "account", "dataset",
        "environment",
    )  # fmt: skip

    name: str = Field(pattern=r"^[a-z][a-z0-9_]*$")
    description: str = ""
    owners: tuple[str, ...] = ("team:quant",)
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
    retrain: RetrainConfig = RetrainConfig()

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
        """Of an account, account currency."""

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

    @property
    def preparation(self) -> PreparationConfig:
        """The parts that shape a prepared market."""
        return PreparationConfig(
            interval_ns=self.bars.interval_ns,
            quality=self.quality,
            max_sentiment_age_hours=self.sentiment.max_age_hours,
            impact_coefficient=self.impact_coefficient,
            sessions=self.bars.sessions,
        )

    @property
    @abstractmethod
    def impact_coefficient(self) -> float:
        """Y of the impact law; 0 where fills have none."""


class SpotDesk(SeriesDesk):
    """One instrument, bought and sold for cash, in a market that is always open."""

    kind: Literal["spot"] = "spot"
    costs: CostConfig = CostConfig()
    account: AccountConfig = AccountConfig()
    environment: WindowConfig = WindowConfig()

    @property
    def impact_coefficient(self) -> float:
        """As the costs say."""
        return self.costs.impact_coefficient

    @model_validator(mode="after")
    def _market_has_no_sessions(self) -> Self:
        if self.bars.sessions is not None:
            raise ValueError("a spot desk must have no bars.sessions: they are for kind futures")
        return self

    @property
    def initial_cash(self) -> float:
        """Quote currency."""
        return self.account.initial_cash


class FuturesDesk(SeriesDesk):
    """One future, intraday, with brackets and the rulebook of a funded account."""

    shared_sections: ClassVar[tuple[str, ...]] = (
        *DeskConfig.shared_sections, "contract", "brackets", "rules",
    )  # fmt: skip

    kind: Literal["futures"] = "futures"
    contract: ContractConfig = ContractConfig()
    costs: FuturesCostConfig = FuturesCostConfig()
    account: FuturesAccountConfig = FuturesAccountConfig()
    brackets: BracketConfig = BracketConfig()
    rules: RulebookConfig = RulebookConfig()
    environment: FuturesEnvConfig = FuturesEnvConfig()

    @model_validator(mode="after")
    def _market_has_sessions_and_one_tick(self) -> Self:
        if self.bars.sessions is None:
            raise ValueError("a futures desk must have bars.sessions, was without")
        simulated, tick = self.bars.simulated, self.contract.tick_size
        if simulated is not None and simulated.tick_size != tick:
            raise ValueError(
                f"bars.simulated.tick_size must be contract.tick_size, was {simulated.tick_size} "
                f"and {tick}"
            )
        return self

    @property
    def trading(self) -> FuturesTrading:
        """What a fill needs."""
        return FuturesTrading(
            contract=self.contract,
            costs=self.costs,
            account=self.account,
            brackets=self.brackets,
            rules=self.rules,
        )

    @property
    def impact_coefficient(self) -> float:
        """One contract moves nothing: slippage in ticks stands for it."""
        return 0.0

    @property
    def initial_cash(self) -> float:
        """USD."""
        return self.account.initial_cash


class PortfolioDesk(DeskConfig):
    """Many stocks and cash, by the day: which factor to follow, and when."""

    shared_sections: ClassVar[tuple[str, ...]] = (*DeskConfig.shared_sections, "allocations")

    kind: Literal["portfolio"] = "portfolio"
    bars: PanelConfig  # pyright: ignore[reportIncompatibleVariableOverride] - frozen: never set
    allocations: AllocationConfig = AllocationConfig()
    ensemble: AllocatorConfig = AllocatorConfig()
    costs: PortfolioCostConfig = PortfolioCostConfig()
    account: CashConfig = CashConfig()
    environment: WindowConfig = WindowConfig()
    dataset: DatasetConfig = DatasetConfig(horizons=("24h", "5d"))
    splits: SplitConfig = SplitConfig(purge="5d")

    @model_validator(mode="after")
    def _horizons_are_sessions(self) -> Self:
        interval = self.bars.interval_ns
        if any(length_ns(horizon) % interval for horizon in self.dataset.horizons):
            raise ValueError(
                "dataset.horizons of a portfolio desk must be whole sessions, such as 24h and 5d, "
                f"was {self.dataset.horizons}"
            )
        return self

    @model_validator(mode="after")
    def _nothing_is_ignored(self) -> Self:
        if self.sentiment.path is not None:
            raise ValueError("a portfolio desk must have no sentiment.path: its state has no place")
        return self

    @property
    def panel_preparation(self) -> PanelPreparation:
        """The parts that shape a prepared universe."""
        return PanelPreparation(self.bars, self.quality, self.allocations, self.costs)

    @property
    def initial_cash(self) -> float:
        """Account currency."""
        return self.account.initial_cash


KINDS: Mapping[str, type[DeskConfig]] = {
    "spot": SpotDesk,
    "futures": FuturesDesk,
    "portfolio": PortfolioDesk,
}


def parse_desk(settings: Mapping[str, Any], where: str) -> DeskConfig:
    """Settings as a desk of their kind; `spot` where they do not say.

    Raises:
        TollgateError: the first thing that is wrong with them, in one line.
    """
    kind = settings.get("kind", "spot")
    if kind not in KINDS:
        raise TollgateError(f"{where}: kind: must be one of {', '.join(KINDS)}, was {kind!r}")
    return validated(KINDS[kind], dict(settings), where)


def desk_files() -> dict[str, Path]:
    """Desk name -> its YAML file.

    Raises:
        TollgateError: TOLLGATE_DESKS is no folder, or two files have one name.
    """
    folders = [PACKAGED_DESKS]
    if extra := os.environ.get("TOLLGATE_DESKS"):
        folders.append(Path(extra))
        if not folders[-1].is_dir():
            raise TollgateError(f"TOLLGATE_DESKS must be a folder, was {extra}")
    files: dict[str, Path] = {}
    for path in [file for folder in folders for file in sorted(folder.glob("*.yaml"))]:
        if path.stem in files:
            raise TollgateError(
                f"desk names must differ, was {path.stem} in {files[path.stem]} and {path}"
            )
        files[path.stem] = path
    return files


def load_desk(name: str) -> DeskConfig:
    """Read and validate a desk by name.

    Raises:
        TollgateError: no such desk, or its file is wrong; one line says what and where.
    """
    files = desk_files()
    if name not in files:
        raise TollgateError(f"desk must be one of {', '.join(files)}, was {name}")
    path = files[name]
    settings = read_yaml(path)
    if settings.setdefault("name", name) != name:
        raise TollgateError(f"name in {path} must be {name}, like the file, was {settings['name']}")
    return parse_desk(settings, str(path))


def load_desks() -> list[DeskConfig]:
    """Every desk."""
    return [load_desk(name) for name in desk_files()]


def data_root() -> Path:
    """Where artefacts and models are kept: TOLLGATE_DATA, or `data/` of the project."""
    return Path(os.environ.get("TOLLGATE_DATA", PROJECT_ROOT / "data"))
