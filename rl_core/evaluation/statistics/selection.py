"""Was the best of several picked for its luck? Shapes: T bars, N trials."""

from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from rl_core.errors import TollgateError

Array = NDArray[np.float64]


def probability_of_overfitting(returns: Array, blocks: int) -> float:
    """How often the trial that is best on one half of the bars falls below the median on the other.

    Combinatorially symmetric cross-validation: bars are cut into blocks, every half of the blocks
    is in-sample once, the rest is out-of-sample; a trial's figure is its Sharpe ratio.

    Args:
        returns: (T, N) of every trial, on the same bars.
        blocks: even; 16 gives 12,870 ways to choose half of them.

    Returns:
        0..1; about 1/2 for trials that differ by chance alone.

    Raises:
        TollgateError: fewer than two trials, or fewer than two bars a block.

    Source: Bailey, Borwein, Lopez de Prado and Zhu, The probability of backtest overfitting (2017),
    section 3.
    """
    num_bars, num_trials = returns.shape
    if num_trials < 2 or num_bars < 2 * blocks:
        raise TollgateError(
            f"overfitting needs at least 2 trials of {2 * blocks} bars, was {num_trials} of "
            f"{num_bars}"
        )
    parts = np.array_split(returns, blocks)
    sums = np.array([part.sum(axis=0) for part in parts])
    squares = np.array([(part**2).sum(axis=0) for part in parts])
    counts = np.array([len(part) for part in parts], dtype=np.float64)
    half = list(combinations(range(blocks), blocks // 2))
    inside = np.zeros((len(half), blocks))
    inside[np.arange(len(half))[:, None], np.array(half)] = 1.0
    best = _sharpes(inside, sums, squares, counts).argmax(axis=1)
    outside = rankdata(_sharpes(1 - inside, sums, squares, counts), axis=1)
    relative = outside[np.arange(len(half)), best] / (num_trials + 1)
    return float((relative < 0.5).mean() + (relative == 0.5).mean() / 2)


def _sharpes(chosen: Array, sums: Array, squares: Array, counts: Array) -> Array:
    """Sharpe ratios (C, N) over the blocks that each of C choices (C, B) takes."""
    bars = (chosen @ counts)[:, None]
    mean = chosen @ sums / bars
    deviation = np.sqrt(np.maximum(chosen @ squares / bars - mean**2, 0.0))
    return np.where(deviation > 1e-12, mean / np.maximum(deviation, 1e-12), 0.0)
