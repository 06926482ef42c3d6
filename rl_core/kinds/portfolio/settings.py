"""Settings of a portfolio desk: its menu of allocations, teacher, costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rl_core.base.errors import TollgateError
from rl_core.base.units import length_ns
from rl_core.kinds.portfolio.handwritten import ETF_16, NAMES_24
from rl_core.kinds.settings import CashConfig, DeskConfig
from rl_core.learning.settings import WindowConfig
from rl_core.market.settings import PanelConfig, SplitConfig
from rl_core.offline.settings import DatasetConfig
from rl_core.trading.terms import RebalanceRates

FACTORS = ("momentum", "low_vol", "quality", "size")
SizeMeasure = Literal["market_value", "dollar_volume", "inverse_growth", "inverse_price"]
Allocations = Mapping[str, Mapping[str, float]]
ROUNDING = 1e-9
KEEP, CASH = "HOLD", "FULL_CASH"
HAND_WRITTEN: Mapping[str, Allocations] = {"etf_16": ETF_16, "names_24": NAMES_24}


@dataclass(frozen=True)
class Allocation:
    """One thing to do with a portfolio."""

    name: str
    portfolio: str | None  # None keeps what is held
    invested: float  # share of equity that goes into the portfolio
    meaning: str

    @property
    def is_order(self) -> bool:
        """True if choosing it can lead to trades."""
        return self.portfolio is not None


# names of portfolios by rule have a space, which names of hand-written ones must not have
EQUAL = "all alike"


HALF = 0.5


TOP_SHARES: Mapping[str, tuple[str, float]] = {  # portfolio -> factor, share of the universe
    "momentum half": ("momentum", HALF),
    "low_vol half": ("low_vol", HALF),
    "quality half": ("quality", HALF),
    "size half": ("size", HALF),
    "momentum 30%": ("momentum", 0.3),
}


FACTOR_REGIMES = (
    Allocation(KEEP, None, 0.0, "keep what is held"),
    Allocation(CASH, EQUAL, 0.0, "sell everything"),
    Allocation("DEFENSIVE", EQUAL, 0.5, "50% cash, 50% equal weight"),
    Allocation("LIGHT_CASH", EQUAL, 0.75, "25% cash, 75% equal weight"),
    Allocation("EQUAL_WEIGHT", EQUAL, 1.0, "every listed stock alike"),
    Allocation("MOMENTUM", "momentum half", 1.0, "top half by 20-session return"),
    Allocation("LOW_VOL", "low_vol half", 1.0, "top half by lowest 20-session volatility"),
    Allocation("QUALITY", "quality half", 1.0, "top half by 20-session Sharpe ratio"),
    Allocation("SIZE_SMALL", "size half", 1.0, "smallest half"),
    Allocation("SAFE_MOMENTUM", "momentum half", 0.7, "30% cash, 70% momentum"),
    Allocation("SAFE_QUALITY", "quality half", 0.7, "30% cash, 70% quality"),
    Allocation("RISK_ON", "momentum 30%", 1.0, "top 30% by 20-session return"),
)


FACTOR_PLACES: Mapping[str, int] = {each.name: place for place, each in enumerate(FACTOR_REGIMES)}


class AllocationConfig(BaseModel):
    """The allocations that a desk chooses between."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    regimes: Literal["factors_12", "etf_16", "names_24", "own"] = "factors_12"
    own: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="name -> symbol -> weight; the rest is cash"
    )
    size: SizeMeasure | Literal["auto"] = Field(
        default="auto", description="what SIZE_SMALL ranks by; auto: the best that the data has"
    )

    @model_validator(mode="after")
    def _allocations_are_possible(self) -> Self:
        if (self.regimes == "own") != bool(self.own):
            raise ValueError(
                f"own allocations must be given with regimes own and only then, was {self.regimes} "
                f"with {len(self.own)}"
            )
        for name, weights in self.own.items():
            if name == KEEP or not name.isidentifier():
                raise ValueError(
                    "own allocations must have names of letters, digits and _, other than HOLD, "
                    f"was {name!r}"
                )
            total = sum(weights.values())
            if min(weights.values(), default=0.0) < 0 or not total <= 1 + 1e-9:
                raise ValueError(f"weights of {name} must be >= 0 and sum to <= 1, was {weights}")
        return self

    @property
    def menu(self) -> tuple[Allocation, ...]:
        """The regimes; their order is that of the actions, HOLD first."""
        if self.regimes == "factors_12":
            return FACTOR_REGIMES
        return (FACTOR_REGIMES[0], *(_hand_written(*each) for each in self.written.items()))

    @property
    def written(self) -> Allocations:
        """Hand-written allocations by name; empty for the factor regimes."""
        return self.own or HAND_WRITTEN.get(self.regimes, {})

    @property
    def portfolios(self) -> tuple[str, ...]:
        """Names of the portfolios: equal weight, those of the factors, then hand-written ones."""
        return (EQUAL, *TOP_SHARES, *self.written)

    def require_universe(self, symbols: Sequence[str]) -> None:
        """Refuse a universe without the stocks that hand-written allocations name.

        Raises:
            TollgateError: names those that are missing.
        """
        named = {symbol for weights in self.written.values() for symbol in weights}
        if missing := sorted(named - set(symbols)):
            raise TollgateError(
                f"allocations {self.regimes} must find their stocks in the universe, was without "
                f"{', '.join(missing)}"
            )


def _hand_written(name: str, weights: Mapping[str, float]) -> Allocation:
    parts = [f"{weight:.0%} {symbol}" for symbol, weight in weights.items()]
    cash = 1 - sum(weights.values())
    return Allocation(
        name, name, 1.0, ", ".join([*parts, f"{cash:.0%} cash"] if cash > ROUNDING else parts)
    )


class AllocatorWeights(BaseModel):
    """Weight of each allocator's vote in the teacher."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trend: float = Field(default=1.0, ge=0)
    volatility: float = Field(default=1.0, ge=0)
    breadth: float = Field(default=1.0, ge=0)


class AllocatorConfig(BaseModel):
    """The teacher of a portfolio desk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: AllocatorWeights = AllocatorWeights()
    review_sessions: int = Field(
        default=10, ge=1, description="a regime is ordered after so many sessions; HOLD between"
    )
    near: float = Field(
        default=0.02, gt=0, description="|log of the index over its 200-session mean|, below it"
    )
    far: float = Field(default=0.10, gt=0, description="the same, above it")
    broad: float = Field(default=0.8, gt=0.5, lt=1, description="share above the 200-session mean")
    narrow: float = Field(default=0.4, gt=0, le=0.5, description="share above it, likewise")

    @model_validator(mode="after")
    def _near_is_nearer_than_far(self) -> Self:
        if self.near >= self.far:
            raise ValueError(f"near must be below far, was {self.near} and {self.far}")
        return self


class PortfolioCostConfig(BaseModel):
    """What a trade of one stock costs. Rates are fractions of the traded value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commission_rate: float = Field(default=0.0001, ge=0, lt=0.1)
    half_spread_rate: float = Field(default=0.0002, ge=0, lt=0.1)
    max_slippage_rate: float = Field(
        default=0.0005, ge=0, lt=0.1, description="drawn evenly from 0 to this, always against us"
    )
    slippage_seed: int = Field(default=0, ge=0)
    impact: Literal["portfolio_sqrt", "volume_sqrt", "none"] = Field(
        default="portfolio_sqrt",
        description="coefficient x sqrt(trade / equity), or "
        "coefficient x sigma x sqrt(trade / mean value traded in a day)",
    )
    impact_coefficient: float | None = Field(
        default=None, ge=0, description="0.01 for portfolio_sqrt, 1 for volume_sqrt"
    )
    max_impact_rate: float = Field(default=0.05, ge=0, lt=0.5)

    @property
    def rates(self) -> RebalanceRates:
        """The same costs as a fill takes them."""
        return RebalanceRates(
            fixed=self.commission_rate + self.half_spread_rate,
            max_impact=self.max_impact_rate,
            impact_of_share=float(self.impact == "portfolio_sqrt"),
        )


class PortfolioDesk(DeskConfig):
    """Many stocks and cash, by the day: which factor to follow, and when."""

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
        if self.quality.repair:
            raise ValueError(
                "a portfolio desk must have no quality.repair, which leaves out bars of one "
                f"instrument, was {', '.join(self.quality.repair)}"
            )
        return self

    @property
    def initial_cash(self) -> float:
        """Cash that an account opens with, account currency."""
        return self.account.initial_cash
