"""The kinds of desk: what only one of them knows."""

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from rl_core.backtest.engine import AccountConfig
from rl_core.backtest.panel_preparation import PanelPreparation
from rl_core.backtest.preparation import PreparationConfig
from rl_core.desk.config import CashConfig, DeskConfig
from rl_core.ensemble.allocators import AllocatorConfig
from rl_core.ensemble.vote import EnsembleConfig
from rl_core.envs.config import FuturesEnvConfig, WindowConfig
from rl_core.errors import TollgateError, validated
from rl_core.features.allocations import AllocationConfig
from rl_core.market.bars import BarsConfig
from rl_core.market.panel import PanelConfig
from rl_core.market.source import length_ns
from rl_core.market.splits import SplitConfig
from rl_core.offline.dataset import DatasetConfig
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
