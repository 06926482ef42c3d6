"""Sharpe ratios and what they could be by chance. Shapes: T bars, K accounts, R replications.

Ratios are per bar unless a name says annual; `annual = per bar x sqrt(bars a year)`.
"""

from dataclasses import dataclass

import numpy as np
from arch.bootstrap import StationaryBootstrap, optimal_block_length
from numpy.typing import NDArray
from scipy.stats import norm

from rl_core.base.errors import TollgateError
from rl_core.judging.figures import SharpeFigures
from rl_core.trading.performance import (
    SMALLEST_SD,
    around,
    sharpe_error_of,
    sharpe_standard_error,
)

Array = NDArray[np.float64]


def sharpe_of(returns: Array) -> float | None:
    """Mean / sd of returns (T,); None where they do not vary."""
    deviation = float(returns.std())
    return float(returns.mean()) / deviation if deviation > SMALLEST_SD else None


def probabilistic_sharpe(
    sharpe: float, benchmark: float, observations: int, skewness: float, kurtosis_: float
) -> float:
    """Probability that the true ratio exceeds a benchmark, 0..1.

    Args:
        sharpe: found, per bar.
        benchmark: per bar.
        observations: T.
        skewness: of the returns; 0 if normal.
        kurtosis_: of the returns; 3 if normal.

    Source: Bailey and Lopez de Prado, The Sharpe ratio efficient frontier (2012), eq. 11.
    """
    error = sharpe_standard_error(sharpe, observations, skewness, kurtosis_)
    return float(norm.cdf((sharpe - benchmark) / error))


def expected_maximum(trials: int) -> float:
    """Expected maximum of independent standard normals; 0 for one.

    Source: Bailey and Lopez de Prado, The deflated Sharpe ratio (2014), eq. 1 in brackets.
    """
    if trials < 2:
        return 0.0
    upper, lower = norm.ppf(1 - 1 / trials), norm.ppf(1 - 1 / (trials * np.e))
    return float((1 - np.euler_gamma) * upper + np.euler_gamma * lower)


def deflated_sharpe(
    sharpe: float,
    observations: int,
    skewness: float,
    kurtosis_: float,
    trials: int,
    trial_variance: float,
) -> float:
    """Probability that the true ratio exceeds zero, given that it is the best of several, 0..1.

    Args:
        sharpe: found, per bar.
        observations: T.
        skewness: of the returns.
        kurtosis_: of the returns; 3 if normal.
        trials: how many were made, this one included.
        trial_variance: of the trials' ratios per bar.

    Source: Bailey and Lopez de Prado (2014), eq. 2.
    """
    best_by_chance = np.sqrt(trial_variance) * expected_maximum(trials)
    return probabilistic_sharpe(sharpe, best_by_chance, observations, skewness, kurtosis_)


def sharpe_figures(returns: Array, bars_per_year: float) -> SharpeFigures | None:
    """Annual ratio of returns (T,) with its interval, by the standard error.

    None where the returns do not vary.
    """
    per_bar, annual = sharpe_of(returns), float(np.sqrt(bars_per_year))
    if per_bar is None:
        return None
    low, high = around(per_bar, sharpe_error_of(returns, per_bar))
    return SharpeFigures(sharpe=per_bar * annual, low=low * annual, high=high * annual)


@dataclass(frozen=True)
class SharpeBootstrap:
    """Sharpe ratios of accounts that lived through the same bars, resampled together."""

    found: Array  # (K,) per bar; 0 for an account that never moved
    replicates: Array  # (R, K)
    block_bars: int  # mean length of a resampled block

    def interval(self, account: int, confidence: float) -> tuple[float, float]:
        """Percentile interval of an account's ratio."""
        tail = (1 - confidence) / 2
        low, high = np.quantile(self.replicates[:, account], [tail, 1 - tail])
        return float(low), float(high)

    def difference(self, account: int, rival: int, confidence: float) -> tuple[float, float, float]:
        """Ratio of an account less that of a rival, with its percentile interval."""
        replicates = self.replicates[:, account] - self.replicates[:, rival]
        tail = (1 - confidence) / 2
        low, high = np.quantile(replicates, [tail, 1 - tail])
        return float(self.found[account] - self.found[rival]), float(low), float(high)

    def p_better(self, account: int, rival: int, margin: float = 0.0) -> float:
        """One-sided p-value of `the account's ratio is below the rival's by the margin or more`.

        The replicates, centred on what was found, are what chance makes of no difference.

        Args:
            account: column.
            rival: column.
            margin: per bar; 0 asks whether it is better, more whether it is not much worse.
        """
        found = self.found[account] - self.found[rival]
        chance = self.replicates[:, account] - self.replicates[:, rival] - found
        return float((1 + (chance >= found + margin).sum()) / (1 + len(chance)))


def bootstrap_sharpes(returns: Array, replications: int, seed: int) -> SharpeBootstrap:
    """Resample bars of all accounts together, in blocks of random length.

    Args:
        returns: (T, K).
        replications: R.
        seed: of the generator: the same returns have the same verdict.

    Raises:
        TollgateError: a return is not finite.

    Source: Politis and Romano, The stationary bootstrap (1994); block length by Politis and White
    (2004), the longest that any account's returns or their squares ask for.
    """
    if not np.isfinite(returns).all():
        raise TollgateError("returns must be finite to be compared, was one that is not")
    num_bars = len(returns)
    squares = (returns - returns.mean(axis=0)) ** 2
    moving = returns.std(axis=0) > SMALLEST_SD
    wanted = np.column_stack([returns[:, moving], squares[:, moving]])
    lengths = optimal_block_length(wanted)["stationary"].to_numpy() if moving.any() else np.ones(1)
    block = round(float(np.clip(np.nanmax(lengths, initial=1.0), 1.0, max(num_bars / 4, 1.0))))
    bootstrap = StationaryBootstrap(block, np.arange(num_bars), seed=np.random.default_rng(seed))
    both = np.column_stack([returns, returns**2])
    sums = np.empty((replications, both.shape[1]))
    for row in sums:  # drawn bars are counted, and a count times a return is a sum
        row[:] = np.bincount(bootstrap.update_indices(), minlength=num_bars) @ both
    num_accounts = returns.shape[1]
    mean = sums[:, :num_accounts] / num_bars
    variance = sums[:, num_accounts:] / num_bars - mean**2
    found = np.array([sharpe_of(column) or 0.0 for column in returns.T])
    return SharpeBootstrap(found, _ratios(mean, variance), block)


def _ratios(mean: Array, variance: Array) -> Array:
    deviation = np.sqrt(np.maximum(variance, 0.0))
    return np.where(deviation > SMALLEST_SD, mean / np.maximum(deviation, SMALLEST_SD), 0.0)
