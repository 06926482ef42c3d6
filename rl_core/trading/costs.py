"""What a trade costs: commission, slippage, spread and market impact; shorts pay to borrow.

Shapes: B bars.
"""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

NS_PER_DAY = 86_400e9
NS_PER_YEAR = 365.25 * NS_PER_DAY
_BEYOND_CAP = 1e6  # finite, since fills choose by products


class CostRates(NamedTuple):
    """The numbers that a fill needs; plain floats, so that numba and torch both take them."""

    commission: float  # fraction of the traded value
    price_cost: float  # slippage and half-spread, fraction of price, always against us
    max_impact: float  # fraction of price
    rebalance_band: float  # fraction of equity
    borrow_per_bar: float  # fraction of the short value


class CostConfig(BaseModel):
    """Trading costs of a desk. Rates are fractions, not percent."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commission_rate: float = Field(default=0.001, ge=0, lt=0.1, description="of traded value")
    slippage_rate: float = Field(default=0.0005, ge=0, lt=0.1, description="of price, per fill")
    half_spread_rate: float = Field(default=0.0001, ge=0, lt=0.1, description="of price, per fill")
    impact_coefficient: float = Field(
        default=1.0, ge=0, description="Y in Y x sigma x sqrt(value / bar's mean traded value)"
    )
    max_impact_rate: float = Field(default=0.05, ge=0, lt=0.5, description="of price")
    borrow_annual_rate: float = Field(default=0.05, ge=0, description="of the short value")
    rebalance_band: float = Field(
        default=0.1, ge=0, lt=1, description="no trade for a smaller change of position"
    )

    def rates(self, interval_ns: int) -> CostRates:
        """The same costs as a fill takes them."""
        return CostRates(
            commission=self.commission_rate,
            price_cost=self.slippage_rate + self.half_spread_rate,
            max_impact=self.max_impact_rate,
            rebalance_band=self.rebalance_band,
            borrow_per_bar=self.borrow_annual_rate * interval_ns / NS_PER_YEAR,
        )


def impact_scale(
    bars: pd.DataFrame, volatility: NDArray[np.float64], coefficient: float, window_bars: int = 20
) -> NDArray[np.float64]:
    """Impact rate of a trade of value 1, known at each bar's close, (B,).

    Square-root law: rate = Y sigma sqrt(value / mean traded value of a bar), so times sqrt(value)
    gives the rate of any trade. Where nothing was traded in the window, or the volatility is not
    yet known, it is so large that the fill's cap applies.

    Args:
        bars: frame that meets the bar contract.
        volatility: (B,) sd of one-bar returns.
        coefficient: Y, about 1 in the literature.
        window_bars: bars behind the mean traded value.

    Source: Toth et al. 2011, eq. 1, https://arxiv.org/abs/1105.1694
    """
    traded_value = (
        (bars["volume"] * bars["close"]).rolling(window_bars, min_periods=1).mean().to_numpy()
    )
    with np.errstate(divide="ignore"):
        scale = volatility / np.sqrt(traded_value)
    return coefficient * np.nan_to_num(scale, nan=_BEYOND_CAP, posinf=_BEYOND_CAP)
