"""Market impact: the square-root law, known at each bar's close. Shapes: B bars."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.market.bars import has_volume

BEYOND_CAP = 1e6  # finite, since fills choose by products


def impact_scale(
    bars: pd.DataFrame, volatility: NDArray[np.float64], coefficient: float, window_bars: int = 20
) -> NDArray[np.float64]:
    """Impact rate of a trade of value 1, known at each bar's close, (B,).

    Square-root law: rate = Y sigma sqrt(value / mean traded value of a bar), so times sqrt(value)
    gives the rate of any trade. Where nothing was traded in the window, or the volatility is not
    yet known, it is so large that the fill's cap applies. A market that reports no volume at all,
    such as FX, has no impact that could be known: it is 0, and spread and slippage remain.

    Args:
        bars: frame that meets the bar contract.
        volatility: (B,) sd of one-bar returns.
        coefficient: Y, about 1 in the literature.
        window_bars: bars behind the mean traded value.

    Source: Toth et al. 2011, eq. 1, https://arxiv.org/abs/1105.1694
    """
    if not has_volume(bars):
        return np.zeros(len(bars))
    traded_value = (
        (bars["volume"] * bars["close"]).rolling(window_bars, min_periods=1).mean().to_numpy()
    )
    with np.errstate(divide="ignore"):
        scale = volatility / np.sqrt(traded_value)
    return coefficient * np.nan_to_num(scale, nan=BEYOND_CAP, posinf=BEYOND_CAP)
