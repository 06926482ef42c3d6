"""Market regimes: how volatile, and trending or ranging.

Thresholds are fitted on the training span alone and then only applied. Shapes: B bars.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rl_core.base.errors import TollgateError
from rl_core.features.indicators import Indicators
from rl_core.features.settings import RegimeConfig, RegimeFilterMode

VOLATILITY_REGIMES = ("low", "normal", "high")
UNKNOWN_REGIME = -1


class RegimeThresholds(BaseModel):
    """Fitted on the training span; travels with the model, so that serving labels alike."""

    model_config = ConfigDict(frozen=True)

    low_volatility: float
    high_volatility: float
    high_atr_fraction: float
    trending_adx: float


def fit_regime_thresholds(
    indicators: Indicators, train: NDArray[np.bool_], config: RegimeConfig
) -> RegimeThresholds:
    """Quantiles over the training bars.

    Args:
        indicators: of all bars.
        train: (B,) True on training bars.
        config: which quantiles.

    Raises:
        TollgateError: no training bar has a known volatility.
    """
    volatility = indicators.volatility[train & np.isfinite(indicators.volatility)]
    atr_fraction = indicators.atr_fraction[train & np.isfinite(indicators.atr_fraction)]
    if not len(volatility) or not len(atr_fraction):
        raise TollgateError(
            f"training bars must outlast the indicators' warm-up, was {train.sum()} bars"
        )
    low, high = np.quantile(volatility, [config.low_quantile, config.high_quantile])
    return RegimeThresholds(
        low_volatility=float(low),
        high_volatility=float(high),
        high_atr_fraction=float(np.quantile(atr_fraction, config.high_atr_quantile)),
        trending_adx=config.trending_adx,
    )


def volatility_regime(indicators: Indicators, thresholds: RegimeThresholds) -> NDArray[np.int8]:
    """Index into VOLATILITY_REGIMES, or UNKNOWN_REGIME in the warm-up, (B,)."""
    edges = [thresholds.low_volatility, thresholds.high_volatility]
    regime = np.digitize(indicators.volatility, edges).astype(np.int8)
    return np.where(np.isfinite(indicators.volatility), regime, np.int8(UNKNOWN_REGIME))


def regime_filter(
    atr_fraction: NDArray[np.floating],
    adx: NDArray[np.floating],
    thresholds: RegimeThresholds,
    mode: RegimeFilterMode,
) -> NDArray[np.bool_]:
    """Bars that a filter mode keeps, (B,). A bar of the warm-up, NaN, is kept by `all` alone."""
    match mode:
        case "all":
            return np.ones(len(adx), dtype=bool)
        case "high_volatility":
            return atr_fraction >= thresholds.high_atr_fraction
        case "trending":
            return adx >= thresholds.trending_adx
        case "ranging":
            return adx < thresholds.trending_adx
