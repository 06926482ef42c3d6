"""Rolling figures by hand, and against the plain definition on any table."""

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from rl_core.market import rolling

Array = NDArray[np.float64]
TABLES = arrays(np.float64, st.tuples(st.integers(1, 30), st.just(2)), elements=st.floats(-50, 50))
COLUMN = np.array([[1.0], [3.0], [8.0], [4.0]])


def test_by_hand() -> None:
    assert rolling.trailing_sum(COLUMN, 2).ravel().tolist() == [1, 4, 11, 12]
    assert rolling.trailing_mean(COLUMN, 2).ravel().tolist() == [1, 2, 5.5, 6]
    assert rolling.exact_trailing_mean(COLUMN, 3).ravel().tolist() == [1, 2, 4, 5]
    assert rolling.trailing_deviation(COLUMN[:, 0], 2).tolist() == pytest.approx([0, 1, 2.5, 2])
    highest, lowest = rolling.trailing_extremes(COLUMN, 2)
    assert highest.ravel().tolist() == [1, 3, 8, 8]
    assert lowest.ravel().tolist() == [1, 1, 3, 4]
    mean = rolling.exact_trailing_mean(COLUMN, 2)
    squares = rolling.exact_trailing_mean_square(COLUMN, mean, 2)
    assert squares.ravel().tolist() == [0, 1, 6.25, 4]
    table = np.array([[1.0, 9.0, 5.0], [np.nan, 2.0, 4.0], [np.nan] * 3])
    assert rolling.row_medians(table)[:2].tolist() == [5, 3]
    assert np.isnan(rolling.row_medians(table)[2])


def plain(values: Array, window: int, figure: Callable[[Array], Array]) -> Array:
    return np.stack([figure(values[max(0, t + 1 - window) : t + 1]) for t in range(len(values))])


@given(TABLES, st.integers(1, 12))
def test_each_is_its_definition_on_the_rows_there_are(values: Array, window: int) -> None:
    mean = partial(np.mean, axis=0)
    near = partial(pytest.approx, abs=1e-9)
    expected = plain(values, window, mean)
    assert rolling.trailing_mean(values, window) == near(expected)
    assert rolling.exact_trailing_mean(values, window) == near(expected)
    highest, lowest = rolling.trailing_extremes(values, window)
    assert (highest == plain(values, window, partial(np.max, axis=0))).all()
    assert (lowest == plain(values, window, partial(np.min, axis=0))).all()
    deviation = rolling.trailing_deviation(values[:, 0], window)
    assert deviation == pytest.approx(
        plain(values, window, partial(np.std, axis=0))[:, 0], abs=1e-5
    )


@given(TABLES, st.integers(1, 12), st.floats(-50, 50))
def test_a_later_row_changes_no_earlier_one(values: Array, window: int, later: float) -> None:
    longer = np.vstack([values, np.full((1, 2), later)])
    for figure in (rolling.trailing_sum, rolling.trailing_mean, rolling.exact_trailing_mean):
        assert (figure(longer, window)[:-1] == figure(values, window)).all()


def test_zeros_stay_exact_zeros_lag_by_lag() -> None:
    values = np.concatenate([np.full((5, 1), 0.1), np.zeros((30, 1))])
    assert (rolling.exact_trailing_mean(values, 20)[24:] == 0).all()
