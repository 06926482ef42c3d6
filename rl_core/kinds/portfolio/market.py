"""A universe with all that is known per session: its index as bars, and its stocks beside it.

To the chain it is a market like any other, whose bars are the sessions of the equal-weight index.
Shapes: T sessions, S stocks, P portfolios, F factors.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.features.indicators import Indicators, compute_indicators
from rl_core.features.prepare import PreparedMarket
from rl_core.features.regimes import RegimeThresholds, volatility_regime
from rl_core.features.state import first_complete_row
from rl_core.kinds.portfolio.allocations import factor_exposures, portfolio_weights
from rl_core.kinds.portfolio.costs import draw_slippage, stock_impact_scale
from rl_core.kinds.portfolio.factors import (
    Factors,
    compute_factors,
    dollar_volume,
    pick_size,
    top_share,
    volatility_or_median,
)
from rl_core.kinds.portfolio.settings import (
    FACTORS,
    HALF,
    AllocationConfig,
    PortfolioCostConfig,
    SizeMeasure,
)
from rl_core.kinds.portfolio.universe import equal_weight_index, index_bars, universe_features
from rl_core.market.panel import Listing, Panel, listing
from rl_core.market.panel_quality import panel_health
from rl_core.market.settings import PanelConfig, QualityConfig

Array = NDArray[np.float64]


@dataclass(frozen=True)
class PanelMarket(PreparedMarket):
    """A prepared universe; row t is known at the close of session t."""

    symbols: tuple[str, ...]
    listed: Listing
    size: SizeMeasure
    portfolios: Array  # (T, P, S) weights, in the order of the desk's portfolios
    exposures: NDArray[np.float32]  # (T, F, S)
    stock_impact_scale: Array  # (T, S)
    slippage: Array  # (T, S) drawn for the fills of that session


@dataclass(frozen=True)
class PanelPreparation:
    """The parts of a desk that shape a prepared universe."""

    source: PanelConfig
    quality: QualityConfig
    allocations: AllocationConfig
    costs: PortfolioCostConfig


def prepare_panel(
    frame: pd.DataFrame,
    config: PanelPreparation,
    thresholds: Callable[[Indicators], RegimeThresholds],
) -> PanelMarket:
    """Compute all that is known per session.

    Args:
        frame: a panel that meets the contract.
        config: the desk's parts.
        thresholds: of the volatility regimes, given the index's indicators.

    Raises:
        TollgateError: the desk asks for stocks or measures that the panel has not.
    """
    panel = Panel.from_frame(frame)
    config.allocations.require_universe(panel.symbols)
    size = pick_size(config.allocations.size, panel)
    listed = listing(panel.close, config.source.delisted_after_sessions)
    factors = compute_factors(panel, listed, size)
    index = equal_weight_index(factors, listed)
    timestamps = pd.Series(pd.to_datetime(panel.ns, utc=True).as_unit("ns"))
    bars = index_bars(timestamps, index, listed)
    indicators = compute_indicators(bars)
    fitted = thresholds(indicators)
    regime = volatility_regime(indicators, fitted)
    health = panel_health(panel.close, listed, config.quality)
    features = universe_features(factors, listed, _halves(factors), index, regime, health)
    by_volume = config.costs.impact == "volume_sqrt"
    return PanelMarket(
        bars=bars,
        ns=panel.ns,
        indicators=indicators,
        thresholds=fitted,
        regime=regime,
        health=health,
        sentiment=np.zeros((len(bars), 2)),
        clock=None,
        features=features,
        first_bar=first_complete_row(features),
        impact_scale=np.zeros(len(bars)),
        horizon_ns=panel.session * config.source.interval_ns,
        symbols=panel.symbols,
        listed=listed,
        size=size,
        portfolios=portfolio_weights(config.allocations, factors, listed, panel.symbols),
        exposures=factor_exposures(factors),
        stock_impact_scale=stock_impact_scale(
            config.costs,
            volatility_or_median(factors),
            dollar_volume(panel, listed, factors.age) if by_volume else None,
        ),
        slippage=draw_slippage(config.costs, panel.ns, panel.symbols),
    )


def _halves(factors: Factors) -> dict[str, Array]:
    """Weights of each factor's preferred half, whatever the desk may choose from."""
    return {name: top_share(factors, name, HALF) for name in FACTORS}
