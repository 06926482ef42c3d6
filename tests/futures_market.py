"""A few simulated sessions, prepared, that tests of the futures environment share."""

from dataclasses import replace
from datetime import date
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import torch

from rl_core.base.units import NS_PER_MINUTE
from rl_core.features.prepare import PreparationConfig, PreparedMarket, prepare_market
from rl_core.features.regimes import fit_regime_thresholds
from rl_core.features.settings import RegimeConfig
from rl_core.kinds.futures.env import FuturesEpisodes, FuturesMarket, FuturesParams
from rl_core.kinds.futures.settings import FuturesEnvConfig, FuturesTrading
from rl_core.lab.markets.futures import simulate_future
from rl_core.market.settings import FuturesSimulation, QualityConfig, SessionConfig

CPU = torch.device("cpu")
HOURS = SessionConfig()
PREPARATION = PreparationConfig(
    NS_PER_MINUTE, QualityConfig(), 24.0, sessions=HOURS, knows_the_session=True
)


@lru_cache(maxsize=4)
def future_bars(sessions: int = 4, seed: int = 1, start: str = "2024-03-05") -> pd.DataFrame:
    """The March contract rolls in its second week."""
    return simulate_future(
        FuturesSimulation(sessions=sessions, seed=seed, start=date.fromisoformat(start)), HOURS
    )


def prepared(bars: pd.DataFrame) -> PreparedMarket:
    """With thresholds fitted on the first half."""
    train = np.arange(len(bars)) < len(bars) // 2
    return prepare_market(
        bars, None, PREPARATION,
        lambda indicators: fit_regime_thresholds(indicators, train, RegimeConfig()),
    )  # fmt: skip


def episodes(
    market: PreparedMarket,
    trading: FuturesTrading | None = None,
    config: FuturesEnvConfig | None = None,
    dtype: torch.dtype = torch.float64,
    **changes: Any,
) -> FuturesEpisodes:
    """The environment at full costs, with starts in the whole market."""
    trading, config = trading or FuturesTrading(), config or FuturesEnvConfig()
    bars = torch.arange(100, len(market.bars) - 1)
    is_kept = torch.zeros(len(market.bars), dtype=torch.bool)
    is_kept[bars] = True
    whole = FuturesEpisodes(
        market=FuturesMarket.from_prepared(market, CPU, dtype),
        params=FuturesParams.full(trading, config),
        trading=trading,
        config=config,
        starts=bars[:-64],
        is_kept=is_kept,
    )
    return replace(whole, **changes)
