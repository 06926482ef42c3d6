"""Simulated markets with a known truth: a random walk, and one with a planted signal.

They are named simulated wherever they show. Shapes: B bars.
"""

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.signal import lfilter


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
    noise = rng.standard_normal(bars) * np.sqrt(1 - signal_r2)
    decay = 0.5 ** (1 / signal_half_life_bars)
    gain = _gain_for(signal_r2, decay, is_reverting=is_reverting)
    # the mean follows itself: mean' = decay * mean + (1 - decay) * (gain * mean + noise)
    persistence = decay + (1 - decay) * gain
    mean_after = np.asarray(lfilter([1 - decay], [1, -persistence], noise))
    returns = noise + gain * np.concatenate([[0.0], mean_after[:-1]])
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


def _gain_for(r2: float, decay: float, *, is_reverting: bool) -> float:
    """Gain that makes the mean of past returns explain `r2` of the next one.

    The mean is an AR(1) with persistence p = decay + (1 - decay) gain, so its variance is
    (1 - decay)^2 (1 - r2) / (1 - p^2); r2 = gain^2 times that variance.
    """

    def excess(gain: float) -> float:
        persistence = decay + (1 - decay) * gain
        return (gain * (1 - decay)) ** 2 * (1 - r2) / (1 - persistence**2) - r2

    # the mean is stationary, |p| < 1, for gains between these
    far_end = -(1 + decay) / (1 - decay) + 1e-9 if is_reverting else 1 - 1e-9
    return float(brentq(excess, min(0.0, far_end), max(0.0, far_end))) if r2 > 0 else 0.0
