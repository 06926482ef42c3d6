"""Sums and medians of tables by session and stock. Shapes: T sessions, S stocks."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def row_medians(values: Array) -> Array:
    """Median of what is known in each row of (T, S), (T,); NaN where nothing is."""
    ordered = np.sort(values, axis=1)  # NaN last
    number = np.isfinite(values).sum(axis=1)
    rows, last = np.arange(len(values)), values.shape[1] - 1
    low = np.clip((number - 1) // 2, 0, last)
    high = np.clip(number // 2, 0, last)
    middle = (ordered[rows, low] + ordered[rows, high]) / 2
    return np.where(number > 0, middle, np.nan)


def trailing_sum(values: NDArray[np.number], window: int) -> Array:
    """Sum of the last rows, of those there are before the window is full; the shape of `values`."""
    total = np.cumsum(values, axis=0, dtype=np.float64)
    total[window:] -= total[:-window].copy()
    return total
