"""Impact and slippage of stocks, known before they are paid. Shapes: T sessions, S stocks."""

import zlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rl_core.base.units import NS_PER_DAY
from rl_core.kinds.portfolio.settings import PortfolioCostConfig
from rl_core.market.panel import FIRST_DAY_NS
from rl_core.trading.impact import BEYOND_CAP

Array = NDArray[np.float64]


def stock_impact_scale(
    costs: PortfolioCostConfig, volatility: Array, traded_value: Array | None
) -> Array:
    """Impact rate of a trade of size 1, known at each close, (T, S).

    Where nothing was traded, or the volatility is not known, it is so large that the fill's cap
    applies. Source of the law: Toth et al. 2011, eq. 1, https://arxiv.org/abs/1105.1694

    Args:
        costs: of the desk.
        volatility: (T, S) sd of daily returns, NaN is unknown.
        traded_value: (T, S) mean value traded in a day; needed by `volume_sqrt`.
    """
    if costs.impact == "volume_sqrt":
        if traded_value is None:
            raise TypeError("volume_sqrt must be given the traded value, was without")
        coefficient = 1.0 if costs.impact_coefficient is None else costs.impact_coefficient
        with np.errstate(divide="ignore", invalid="ignore"):
            scale = volatility / np.sqrt(traded_value)
        return coefficient * np.nan_to_num(scale, nan=BEYOND_CAP, posinf=BEYOND_CAP)
    coefficient = 0.01 if costs.impact_coefficient is None else costs.impact_coefficient
    return np.full_like(volatility, coefficient if costs.impact == "portfolio_sqrt" else 0.0)


def draw_slippage(
    costs: PortfolioCostConfig, ns: NDArray[np.int64], symbols: Sequence[str]
) -> Array:
    """Slippage drawn for each stock on each day, (T, S), in 0..max_slippage_rate.

    A draw belongs to a day and a symbol: neither more days nor more stocks change it.
    """
    days = (ns - FIRST_DAY_NS) // NS_PER_DAY
    draws = [
        np.random.Generator(
            np.random.Philox(key=[costs.slippage_seed, zlib.crc32(symbol.encode())])
        ).random(int(days[-1]) + 1)[days]
        for symbol in symbols
    ]
    return costs.max_slippage_rate * np.stack(draws, axis=1)
