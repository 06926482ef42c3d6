"""Intervals that hold the return to come as often as they say. Shapes: N rows."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def conformal_quantile(residuals: Array, coverage: float, overlap_bars: int = 1) -> float:
    """How far from a prediction the interval ends, in units of the residuals.

    The ceil((m + 1) coverage)-th smallest of m independent absolute residuals: then a new one of
    the same kind lies within it with at least that probability, whatever its distribution. Of
    targets that overlap by k bars only every k-th counts as independent; the same share of all of
    them is taken.

    Args:
        residuals: (N,) of calibration rows that nothing was fitted on; NaN is unknown.
        coverage: 0..1.
        overlap_bars: of the targets.

    Returns:
        Infinite where there are too few rows to promise so much.

    Source: Vovk, Gammerman and Shafer (2005); Lei et al. (2018), algorithm 2.
    """
    known = np.sort(np.abs(residuals[np.isfinite(residuals)]))
    independent = len(known) // overlap_bars
    rank = int(np.ceil((independent + 1) * coverage))
    if rank > independent:
        return float("inf")
    return float(known[int(np.ceil(len(known) * rank / independent)) - 1])


def coverage_of(residuals: Array, half_width: Array | float) -> float | None:
    """Share of known residuals (N,) that an interval holds; None where none is known."""
    known = np.isfinite(residuals)
    inside = np.abs(residuals) <= half_width
    return float(inside[known].mean()) if known.any() else None
