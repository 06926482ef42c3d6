"""Was the best of several picked for its luck? Shapes: T bars, N trials."""

from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from rl_core.base.errors import TollgateError

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Selection:
    """What becomes of the trial that is best on one half of the bars, on the other half."""

    overfitting: float  # how often it falls below the trials' median, 0..1; ties count half
    loss: float  # how often its Sharpe ratio is not above zero, 0..1


def condensed(returns: Array, rows: int = 512) -> tuple[float, ...]:
    """Returns (T,) as sums over at most so many stretches: enough to compare candidates by."""
    return tuple(float(part.sum()) for part in np.array_split(returns, min(rows, len(returns))))


def selection_risk(returns: Array, blocks: int) -> Selection:
    """Probability of overfitting and of loss, over every way to halve the bars.

    Combinatorially symmetric cross-validation: bars are cut into blocks, every half of the blocks
    is in-sample once, the rest is out-of-sample; a trial's figure is its Sharpe ratio.

    Args:
        returns: (T, N) of every trial, on the same bars.
        blocks: even; 16 gives 12,870 ways to choose half of them.

    Returns:
        Trials that differ by chance alone have an overfitting probability of about 1/2, good ones
        as well as bad ones; it is the probability of loss that tells those apart.

    Raises:
        TollgateError: fewer than two trials, or fewer than two bars a block.

    Source: Bailey, Borwein, Lopez de Prado and Zhu, The probability of backtest overfitting (2017),
    sections 2 and 3.
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
    outside = _sharpes(1 - inside, sums, squares, counts)
    chosen = (np.arange(len(half)), best)
    relative = rankdata(outside, axis=1)[chosen] / (num_trials + 1)
    return Selection(
        overfitting=float((relative < 0.5).mean() + (relative == 0.5).mean() / 2),
        loss=float((outside[chosen] <= 0).mean()),
    )


def _sharpes(chosen: Array, sums: Array, squares: Array, counts: Array) -> Array:
    """Sharpe ratios (C, N) over the blocks that each of C choices (C, B) takes."""
    bars = (chosen @ counts)[:, None]
    mean = chosen @ sums / bars
    deviation = np.sqrt(np.maximum(chosen @ squares / bars - mean**2, 0.0))
    return np.where(deviation > 1e-12, mean / np.maximum(deviation, 1e-12), 0.0)
