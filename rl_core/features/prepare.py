"""Everything that is known per bar, computed once and shared by all who trade or learn on it.

Shapes: B bars.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.units import NS_PER_DAY
from rl_core.features.indicators import Indicators, compute_indicators
from rl_core.features.regimes import RegimeThresholds, volatility_regime
from rl_core.features.sentiment import sentiment_at_close
from rl_core.features.sessions import session_features
from rl_core.features.state import first_complete_row, market_features
from rl_core.market.bars import nanoseconds
from rl_core.market.quality import data_health
from rl_core.market.rolls import continuous_prices, rolls
from rl_core.market.sessions import SessionClock, session_clock, trading_hours
from rl_core.market.settings import QualityConfig, SessionConfig
from rl_core.trading.impact import impact_scale


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
    clock: SessionClock | None  # of a market with sessions
    features: NDArray[np.float32]  # (B, F), NaN in the warm-up
    first_bar: int  # first with complete features
    impact_scale: NDArray[np.float64]  # (B,)
    # (B,) clock of label horizons and purging, ns: timestamps, or session number x 1 day on desks
    # with daily bars
    horizon_ns: NDArray[np.int64]

    @property
    def session_clock(self) -> SessionClock:
        """Of a market that is known to have sessions."""
        if self.clock is None:
            raise TypeError("a futures market must be prepared with sessions, was without")
        return self.clock

    @property
    def atr_points(self) -> NDArray[np.float64]:
        """ATR(14) in units of price, of the contract that trades, (B,); 0 in the warm-up."""
        return np.nan_to_num(self.indicators.atr_fraction * self.bars["close"].to_numpy())

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
    impact_coefficient: float = 0.0  # Y of the impact law; 0 where fills have none
    sessions: SessionConfig | None = None
    knows_the_session: bool = False  # the state says where in its session a bar stands


def prepare_market(
    bars: pd.DataFrame,
    sentiment: pd.DataFrame | None,
    config: PreparationConfig,
    thresholds: Callable[[Indicators], RegimeThresholds],
) -> PreparedMarket:
    """Compute all that is known per bar.

    Args:
        bars: (B,) bars that meet the contract.
        sentiment: published rows, or None without a source.
        config: the desk's parts.
        thresholds: of the volatility regimes, given the bars' indicators.
    """
    ns = nanoseconds(bars["timestamp"])
    prices = continuous_prices(bars)
    indicators = compute_indicators(prices)
    fitted = thresholds(indicators)
    regime = volatility_regime(indicators, fitted)
    hours = trading_hours(config.sessions, ns, config.interval_ns)
    health = data_health(bars, hours.position(ns), config.quality)
    opinion = sentiment_at_close(
        bars["timestamp"], config.interval_ns, sentiment, config.max_sentiment_age_hours
    )
    features = market_features(indicators, regime, health, opinion)
    clock = None
    if config.sessions is not None and config.knows_the_session:
        clock = session_clock(ns, rolls(bars), config.sessions, config.interval_ns)
        features = np.column_stack([features, session_features(prices, indicators, clock)])
    return PreparedMarket(
        bars=bars,
        ns=ns,
        indicators=indicators,
        thresholds=fitted,
        regime=regime,
        health=health,
        sentiment=opinion,
        clock=clock,
        features=features,
        first_bar=first_complete_row(features),
        impact_scale=impact_scale(bars, indicators.volatility, config.impact_coefficient),
        horizon_ns=ns,
    )
