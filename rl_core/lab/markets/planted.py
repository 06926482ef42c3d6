"""Noise that leans on its own past to a known degree: a signal that a learner can find."""

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq
from scipy.signal import lfilter


def planted_returns(
    shocks: NDArray[np.float64], r2: float, half_life_bars: float, *, is_reverting: bool
) -> NDArray[np.float64]:
    """Returns of unit variance whose exponentially weighted past explains `r2` of the next, (B,).

    Args:
        shocks: (B,) independent, variance 1.
        r2: share of variance, in [0, 1).
        half_life_bars: half-life of the weights over past returns.
        is_reverting: the next return leans against the past ones rather than with them.
    """
    noise = shocks * np.sqrt(1 - r2)
    decay = 0.5 ** (1 / half_life_bars)
    gain = _gain_for(r2, decay, is_reverting=is_reverting)
    # the mean follows itself: mean' = decay * mean + (1 - decay) * (gain * mean + noise)
    persistence = decay + (1 - decay) * gain
    mean_after = np.asarray(lfilter([1 - decay], [1, -persistence], noise))
    return noise + gain * np.concatenate([[0.0], mean_after[:-1]])


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
