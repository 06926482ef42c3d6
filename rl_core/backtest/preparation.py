"""Everything that is known per bar, computed once and shared by all who trade or learn on it.

Shapes: B bars.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.features.indicators import Indicators, compute_indicators
from rl_core.features.regimes import RegimeThresholds, volatility_regime
from rl_core.features.sentiment import sentiment_at_close
from rl_core.features.state import first_complete_row, market_features
from rl_core.market.bars import nanoseconds
from rl_core.market.quality import QualityConfig, data_health
from rl_core.trading.costs import NS_PER_DAY, CostConfig, CostRates, impact_scale


@dataclass(frozen=True)
class PreparedMarket:
    """A bar series with its features, regimes and costs; row t is known at the close of bar t."""

    bars: pd.DataFrame  # (B,)
    ns: NDArray[np.int64]  # (B,)
    indicators: Indicators
    thresholds: RegimeThresholds
    regime: NDArray[np.int8]  # (B,)
    health: NDArray[np.float64]  # (B,)
    sentiment: NDArray[np.float64]  # (B, 2)
    features: NDArray[np.float32]  # (B, 30), NaN in the warm-up
    first_bar: int  # first with complete features
    impact_scale: NDArray[np.float64]  # (B,)
    rates: CostRates

    @property
    def days(self) -> NDArray[np.float64]:
        """Days since the first bar, (B,)."""
        return (self.ns - self.ns[0]) / NS_PER_DAY


@dataclass(frozen=True)
class PreparationConfig:
    """The parts of a desk that shape a prepared market."""

    interval_ns: int
    quality: QualityConfig
    max_sentiment_age_hours: float
    costs: CostConfig


def prepare_market(
    bars: pd.DataFrame,
    sentiment: pd.DataFrame | None,
    config: PreparationConfig,
    thresholds: RegimeThresholds,
    indicators: Indicators | None = None,
) -> PreparedMarket:
    """Compute all that is known per bar.

    Args:
        bars: (B,) bars that meet the contract.
        sentiment: published rows, or None without a source.
        config: the desk's parts.
        thresholds: fitted on the training span.
        indicators: of these bars, if they are known already.
    """
    ns = nanoseconds(bars["timestamp"])
    indicators = indicators or compute_indicators(bars)
    regime = volatility_regime(indicators, thresholds)
    health = data_health(bars, config.interval_ns, config.quality)
    opinion = sentiment_at_close(
        bars["timestamp"], config.interval_ns, sentiment, config.max_sentiment_age_hours
    )
    features = market_features(indicators, regime, health, opinion)
    return PreparedMarket(
        bars=bars,
        ns=ns,
        indicators=indicators,
        thresholds=thresholds,
        regime=regime,
        health=health,
        sentiment=opinion,
        features=features,
        first_bar=first_complete_row(features),
        impact_scale=impact_scale(bars, indicators.volatility, config.costs.impact_coefficient),
        rates=config.costs.rates(config.interval_ns),
    )
