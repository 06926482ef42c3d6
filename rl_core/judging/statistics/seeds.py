"""Results over several seeds, robustly. Shapes: N seeds."""

from collections.abc import Sequence

import numpy as np
from scipy.stats import trim_mean

from rl_core.judging.figures import SeedSummary

FEWEST_SEEDS = 3


def interquartile_mean(values: np.ndarray) -> float:
    """Mean of the middle half, (N,); a quarter is cut off at each end, rounded down."""
    return float(trim_mean(values, 0.25))


def summarise_seeds(
    values: Sequence[float], confidence: float = 0.95, replications: int = 2000, seed: int = 0
) -> SeedSummary | None:
    """Interquartile mean with a percentile bootstrap interval; None for fewer than 3 seeds.

    Source: Agarwal et al., Deep reinforcement learning at the edge of the statistical precipice
    (2021), section 4.
    """
    if len(values) < FEWEST_SEEDS:
        return None
    found = np.asarray(values, dtype=np.float64)
    drawn = np.random.default_rng(seed).integers(0, len(found), (replications, len(found)))
    replicates = trim_mean(found[drawn], 0.25, axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(replicates, [tail, 1 - tail])
    return SeedSummary(
        seeds=len(found),
        iqm=interquartile_mean(found),
        low=float(low),
        high=float(high),
        confidence=confidence,
        values=tuple(found.tolist()),
    )
