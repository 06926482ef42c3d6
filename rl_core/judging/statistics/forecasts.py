"""Do forecasts tell anything of what comes? Targets may overlap. Shapes: N rows in order of time.

Rows whose target is unknown are left out before anything is computed here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm, rankdata
from statsmodels.regression.linear_model import OLS

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Estimate:
    """A figure with what chance makes of it."""

    value: float
    standard_error: float
    p_value: float  # one-sided: of a true value of zero or below

    def interval(self, confidence: float) -> tuple[float, float]:
        """Two-sided confidence interval by the normal distribution."""
        half = norm.ppf(0.5 + confidence / 2) * self.standard_error
        return self.value - half, self.value + half


def hac_lags(rows: int, overlap_bars: int) -> int:
    """Lags of the autocorrelation that a standard error must know of.

    Targets that overlap by k bars are correlated over k - 1 lags by construction; twice as many
    make up for the falling weights of Newey and West. At least the cube root of N, for what is
    correlated otherwise.
    """
    return min(max(2 * (overlap_bars - 1), round(rows ** (1 / 3))), rows - 2)


def diebold_mariano(own: Array, rival: Array, target: Array, overlap_bars: int) -> Estimate:
    """By how much a forecast's squared error is below a rival's, per row.

    Args:
        own: (N,) forecasts.
        rival: (N,) forecasts.
        target: (N,) what came.
        overlap_bars: bars of a target, 1 if none overlap.

    Source: Diebold and Mariano (1995), with the standard error of Newey and West (1987).
    """
    gain = (target - rival) ** 2 - (target - own) ** 2
    return _hac(gain, np.ones((len(gain), 1)), overlap_bars, coefficient=0)


def calibration_slope(prediction: Array, target: Array, overlap_bars: int) -> Estimate:
    """By how much the mean return rises with a prediction: 1 is honest, 1/20 is 20 times too loud.

    Args:
        prediction: (N,); must vary.
        target: (N,).
        overlap_bars: bars of a target.

    Source: Mincer and Zarnowitz (1969).
    """
    inputs = np.column_stack([np.ones(len(prediction)), prediction])
    return _hac(target, inputs, overlap_bars, coefficient=1)


def _hac(outcome: Array, inputs: Array, overlap_bars: int, coefficient: int) -> Estimate:
    lags = hac_lags(len(outcome), overlap_bars)
    fit = OLS(outcome, inputs).fit(
        cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": True}
    )
    value, error = float(fit.params[coefficient]), float(fit.bse[coefficient])
    p = float(norm.sf(value / error)) if error > 0 else 1.0
    return Estimate(value, error, p)


@dataclass(frozen=True)
class RankCorrelation:
    """Rank information coefficient, and how likely chance makes it so large."""

    value: float
    p_value: float  # one-sided, the larger of the two below
    p_shift: float  # among the same series shifted in time
    p_hac: float  # by its standard error
    num_shifts: int


def rank_ic(prediction: Array, target: Array, overlap_bars: int) -> RankCorrelation:
    """Spearman's correlation, judged in two ways of which the stricter counts.

    A circular shift keeps how each series hangs together in itself and breaks only what is between
    them, so overlapping targets do not deceive it. Shifts by less than a target's length are left
    out: they compare a forecast with what it is about. It is deceived when large forecasts meet
    large moves, as they do where volatility comes and goes: a standard error that knows of both
    autocorrelation and heteroskedasticity is not.

    Forecasts made of past returns, which are past targets, correlate with coming ones in a finite
    sample, because both are measured from their means. This bias is estimated from lags within
    +-2k, k the overlap: circular cross-correlations sum to zero, so the mean over the remaining
    lags is minus that sum / N.

    Args:
        prediction: (N,).
        target: (N,).
        overlap_bars: bars of a target, below N / 4.
    """
    rows = len(prediction)
    p, y = _standard_ranks(prediction), _standard_ranks(target)
    by_shift = np.fft.irfft(np.fft.rfft(p).conj() * np.fft.rfft(y), rows) / rows
    near = 2 * overlap_bars
    bias = -float(by_shift[1 : near + 1].sum() + by_shift[rows - near :].sum()) / rows
    unbiased = float(by_shift[0]) - bias
    chance = by_shift[overlap_bars : rows - overlap_bars + 1]
    reached = int((chance >= unbiased - 1e-12).sum())
    p_shift = (1 + reached) / (1 + len(chance))
    mean = _hac(p * y - bias, np.ones((rows, 1)), overlap_bars, coefficient=0)
    return RankCorrelation(
        float(by_shift[0]), max(p_shift, mean.p_value), p_shift, mean.p_value, len(chance)
    )


def _standard_ranks(values: Array) -> Array:
    ranks = rankdata(values)
    deviation = ranks.std()
    return (ranks - ranks.mean()) / deviation if deviation > 0 else np.zeros(len(values))
