"""Intervals that hold the return to come as often as they say. Shapes: N rows."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def conformal_quantile(residuals: Array, coverage: float) -> float:
    """How far from a prediction the interval ends, in units of the residuals.

    The ceil((n + 1) coverage)-th smallest absolute residual: then a new one of the same kind lies
    within it with at least that probability, whatever its distribution.

    Args:
        residuals: (N,) of calibration rows that nothing was fitted on; NaN is unknown.
        coverage: 0..1.

    Returns:
        Infinite where there are too few rows to promise so much.

    Source: Vovk, Gammerman and Shafer (2005); Lei et al. (2018), algorithm 2.
    """
    known = np.sort(np.abs(residuals[np.isfinite(residuals)]))
    rank = int(np.ceil((len(known) + 1) * coverage))
    return float(known[rank - 1]) if rank <= len(known) else float("inf")


def coverage_of(residuals: Array, half_width: Array | float) -> float | None:
    """Share of known residuals (N,) that an interval holds; None where none is known."""
    known = np.isfinite(residuals)
    inside = np.abs(residuals) <= half_width
    return float(inside[known].mean()) if known.any() else None
