"""Simulated markets with a known truth: a random walk, and one with a planted signal.

They are named simulated wherever they show. Shapes: B bars.
"""

import numpy as np
import pandas as pd

from rl_core.lab.markets.planted import planted_returns
from rl_core.market.settings import RandomWalk


def simulate_walk(config: RandomWalk, interval: str) -> pd.DataFrame:
    """Bars of a random walk, as a desk's settings describe it."""
    settings = config.model_dump(exclude={"bars", "seed"})
    return simulate_bars(config.bars, config.seed, interval=interval, **settings)


def simulate_bars(
    bars: int,
    seed: int,
    *,
    signal_r2: float = 0.0,
    is_reverting: bool = False,
    signal_half_life_bars: float = 6.0,
    volatility: float = 0.01,
    interval: str = "1h",
    start: str = "2015-01-01",
) -> pd.DataFrame:
    """Geometric random walk whose next return may lean on what the past bars show.

    The drift of bar t is proportional to an exponentially weighted mean of past returns, scaled
    so that it explains `signal_r2` of the variance of one-bar returns. It is a function of past
    closes alone, so an agent that sees past returns can learn it.

    Args:
        bars: B, the number of bars.
        seed: of the random generator.
        signal_r2: share of one-bar return variance that the past explains, in [0, 1).
        is_reverting: the signal is a reversal of past returns rather than their momentum.
        signal_half_life_bars: half-life of the weights over past returns.
        volatility: standard deviation of one-bar log returns.
        interval: length of a bar.
        start: timestamp of the first bar, UTC.

    Returns:
        Frame that meets the bar contract.
    """
    rng = np.random.default_rng(seed)
    returns = planted_returns(
        rng.standard_normal(bars), signal_r2, signal_half_life_bars, is_reverting=is_reverting
    )
    close = 100.0 * np.exp(np.cumsum(volatility * returns))
    open_price = np.concatenate([[100.0], close[:-1]])
    wick = np.abs(rng.standard_normal((2, bars))) * volatility / 4
    return pd.DataFrame(
        {
            "timestamp": pd.date_range(start, periods=bars, freq=interval, tz="UTC", unit="ns"),
            "open": open_price,
            "high": np.maximum(open_price, close) * np.exp(wick[0]),
            "low": np.minimum(open_price, close) * np.exp(-wick[1]),
            "close": close,
            "volume": rng.lognormal(11.0, 0.5, bars),  # deep: millions of quote currency a bar
        }
    )
