"""Settings of a spot desk: costs and account."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from rl_core.base.units import NS_PER_YEAR
from rl_core.kinds.settings import SeriesDesk
from rl_core.learning.settings import WindowConfig
from rl_core.trading.terms import CostRates


class CostConfig(BaseModel):
    """Trading costs of a desk. Rates are fractions, not percent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commission_rate: float = Field(default=0.001, ge=0, lt=0.1, description="of traded value")
    slippage_rate: float = Field(default=0.0005, ge=0, lt=0.1, description="of price, per fill")
    half_spread_rate: float = Field(
        default=0.0001, ge=0, lt=0.1,
        description="of price, per fill; bars of bid and ask bring their own",
    )  # fmt: skip
    impact_coefficient: float = Field(
        default=1.0, ge=0, description="Y in Y x sigma x sqrt(value / bar's mean traded value)"
    )
    max_impact_rate: float = Field(default=0.05, ge=0, lt=0.5, description="of price")
    borrow_annual_rate: float = Field(default=0.05, ge=0, description="of the short value")
    rebalance_band: float = Field(
        default=0.1, ge=0, lt=1, description="no trade for a smaller change of position"
    )

    def rates(self, interval_ns: int, *, is_quoted: bool = False) -> CostRates:
        """The same costs as a fill takes them.

        Args:
            interval_ns: a bar's length.
            is_quoted: bars bring their own spread, which counts instead of the desk's.
        """
        half_spread = 0.0 if is_quoted else self.half_spread_rate
        return CostRates(
            commission=self.commission_rate,
            price_cost=self.slippage_rate + half_spread,
            max_impact=self.max_impact_rate,
            rebalance_band=self.rebalance_band,
            borrow_per_bar=self.borrow_annual_rate * interval_ns / NS_PER_YEAR,
        )


class AccountConfig(BaseModel):
    """The account that a desk trades."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    initial_cash: float = Field(default=10_000.0, gt=0, description="quote currency")
    min_position: float = Field(default=0.0, ge=-1, le=0, description="-1 allows full shorts")
    max_position: float = Field(default=1.0, gt=0, le=1)


class SpotDesk(SeriesDesk):
    """One instrument, bought and sold for cash: crypto, or with `bars.sessions` stocks and FX."""

    kind: Literal["spot"] = "spot"
    costs: CostConfig = CostConfig()
    account: AccountConfig = AccountConfig()
    environment: WindowConfig = WindowConfig()

    @property
    def impact_coefficient(self) -> float:
        """Price impact of a trade, as the costs say."""
        return self.costs.impact_coefficient

    @property
    def initial_cash(self) -> float:
        """Cash that an account opens with, quote currency."""
        return self.account.initial_cash
