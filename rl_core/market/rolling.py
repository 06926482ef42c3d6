"""Every rolling figure of tables by session and stock. Shapes: T sessions, S stocks.

A window that is not full yet takes the rows that there are. Sums come in two kinds: by differences
of a running total, in time linear in T whatever the window; and lag by lag, where exact zeros must
stay zeros and a later row may not move an earlier one by a rounding.
"""

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


def rows_in_window(rows: int, window: int) -> NDArray[np.int64]:
    """How many rows the window that ends at each row holds, (T,)."""
    return np.minimum(np.arange(1, rows + 1), window)


def trailing_mean(values: Array, window: int) -> Array:
    """Mean of the last rows, by a running total, (T, S)."""
    return trailing_sum(values, window) / rows_in_window(len(values), window)[:, None]


def trailing_deviation(values: Array, window: int) -> Array:
    """Standard deviation of the last entries, by a running total, (T,)."""
    number = rows_in_window(len(values), window)
    mean = trailing_sum(values, window) / number
    return np.sqrt(np.maximum(trailing_sum(values**2, window) / number - mean**2, 0.0))


def exact_trailing_mean(values: Array, window: int) -> Array:
    """Mean of the last rows, summed lag by lag, (T, S)."""
    total = values.copy()
    for lag in range(1, window):
        total[lag:] += values[:-lag]
    return total / rows_in_window(len(values), window)[:, None]


def exact_trailing_mean_square(values: Array, mean: Array, window: int) -> Array:
    """Mean squared distance of the last rows from a mean of each row, lag by lag, (T, S)."""
    total = (values - mean) ** 2
    for lag in range(1, window):
        total[lag:] += (values[:-lag] - mean[lag:]) ** 2
    return total / rows_in_window(len(values), window)[:, None]


def trailing_extremes(values: Array, window: int) -> tuple[Array, Array]:
    """Highest and lowest of the last rows, by doubling the reach, (T, S) each."""
    highest, lowest, reach = values.copy(), values.copy(), 1
    while reach < window:
        step = min(reach, window - reach)
        highest[step:] = np.maximum(highest[step:], highest[:-step])
        lowest[step:] = np.minimum(lowest[step:], lowest[:-step])
        reach += step
    return highest, lowest
