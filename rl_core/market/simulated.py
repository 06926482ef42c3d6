"""Simulated markets with a known truth: a random walk, and one with a planted signal.

They are named simulated wherever they show. Shapes: B bars.
"""

import numpy as np
import pandas as pd
from pydantic import BaseModel, ConfigDict, Field

from rl_core.market.planted import planted_returns


class RandomWalk(BaseModel):
    """A market that is always open, simulated; `simulate_bars` says what the figures mean.

    Another number of bars is another market, and not the same one going on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bars: int = Field(default=14_000, ge=2, le=10_000_000)
    seed: int = Field(default=1, ge=0)
    signal_r2: float = Field(default=0.0, ge=0, lt=0.5)
    is_reverting: bool = True
    signal_half_life_bars: float = Field(default=6.0, gt=0)
    volatility: float = Field(default=0.01, gt=0, lt=0.5, description="sd of a bar's log return")

    def simulate(self, interval: str) -> pd.DataFrame:
        """Its bars."""
        settings = self.model_dump(exclude={"bars", "seed"})
        return simulate_bars(self.bars, self.seed, interval=interval, **settings)


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
