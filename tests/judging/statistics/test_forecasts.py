"""Tests of forecasts: literals by hand, and their error rates on series whose truth is known."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from scipy.signal import lfilter
from scipy.stats import spearmanr

from rl_core.judging.statistics.forecasts import (
    Estimate,
    calibration_slope,
    diebold_mariano,
    hac_lags,
    rank_ic,
)


def overlapping(rng: np.random.Generator, rows: int, bars: int) -> np.ndarray:
    """Sums of the next `bars` noise returns."""
    total = np.concatenate([[0.0], np.cumsum(rng.standard_normal(rows + bars))])
    return total[bars : bars + rows] - total[:rows]


def slow_forecast(rng: np.random.Generator, rows: int, persistence: float) -> np.ndarray:
    """A forecast that knows nothing and changes slowly."""
    noise = rng.standard_normal(rows)
    for t in range(1, rows):
        noise[t] += persistence * noise[t - 1]
    return noise


def test_diebold_mariano_by_hand() -> None:
    target = np.array([1.0, -1.0, 1.0, -1.0] * 25)
    # errors 0.5 against 1: the squared loss falls from 1 to 0.25 in every row, without spread
    result = diebold_mariano(target / 2, np.zeros(100), target, 1)
    assert result.value == pytest.approx(0.75)
    worse = diebold_mariano(-target, np.zeros(100), target + np.tile([0.1, 0.0], 50), 1)
    assert worse.value < 0
    assert worse.p_value > 0.99


def test_without_overlap_the_error_is_about_that_of_a_mean() -> None:
    rng = np.random.default_rng(0)
    target, forecast = rng.standard_normal(4000), 0.1 * rng.standard_normal(4000)
    gain = target**2 - (target - forecast) ** 2
    result = diebold_mariano(forecast, np.zeros(4000), target, 1)
    assert result.standard_error == pytest.approx(gain.std() / np.sqrt(4000), rel=0.1)


def test_the_slope_tells_how_loud_a_forecast_is() -> None:
    rng = np.random.default_rng(1)
    honest = 0.1 * rng.standard_normal(20_000)
    target = honest + rng.standard_normal(20_000)
    assert calibration_slope(honest, target, 1).value == pytest.approx(1.0, abs=0.2)
    loud = calibration_slope(20 * honest, target, 1)
    assert loud.value == pytest.approx(0.05, abs=0.01)
    assert loud.interval(0.95)[1] < 0.5
    assert calibration_slope(-honest, target, 1).p_value > 0.99


def test_lags_reach_twice_over_the_overlap() -> None:
    assert hac_lags(3000, 24) == 46
    assert hac_lags(3000, 1) == 14
    assert hac_lags(20, 24) == 18


def test_the_rank_correlation_is_spearmans() -> None:
    rng = np.random.default_rng(2)
    p, y = rng.standard_normal(500), rng.standard_normal(500)
    assert rank_ic(p, y, 1).value == pytest.approx(float(spearmanr(p, y).statistic))
    assert rank_ic(p, y, 24).num_shifts == 500 - 2 * 24 + 1


def test_a_perfect_forecast_beats_every_shift_and_a_constant_none() -> None:
    y = np.random.default_rng(3).standard_normal(400)
    assert rank_ic(y, y, 1).p_shift == pytest.approx(1 / 400)
    assert rank_ic(y, y, 1).p_value == pytest.approx(1 / 400)
    assert rank_ic(np.ones(400), y, 1).p_value == 1.0


def past_returns(rng: np.random.Generator, rows: int, bars: int, sign: float) -> tuple[Any, Any]:
    """A forecast that is the last `bars` returns, and the sum of the next ones."""
    total = np.concatenate([[0.0], np.cumsum(rng.standard_normal(rows + 2 * bars))])
    now = np.arange(bars, bars + rows)
    return sign * (total[now] - total[now - bars]), total[now + bars] - total[now]


def rejected_share(draw: Callable[[np.random.Generator], tuple[Any, Any]], overlap: int) -> float:
    rng, rounds = np.random.default_rng(4), 1500
    return float(np.mean([rank_ic(*draw(rng), overlap).p_value <= 0.05 for _ in range(rounds)]))


@pytest.mark.parametrize("persistence", [0.0, 0.9, 0.98])
def test_the_24h_rank_test_rejects_3_to_7_percent_of_true_nulls_at_5(persistence: float) -> None:
    share = rejected_share(
        lambda rng: (slow_forecast(rng, 2000, persistence), overlapping(rng, 2000, 24)), 24
    )
    assert 0.03 <= share <= 0.07


@pytest.mark.parametrize("sign", [-1.0, 1.0])
@pytest.mark.parametrize("bars", [1, 24])
def test_forecasts_made_of_past_returns_are_no_exception(sign: float, bars: int) -> None:
    share = rejected_share(lambda rng: past_returns(rng, 2000, bars, sign), bars)
    assert 0.03 <= share <= 0.07


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_nor_are_markets_whose_volatility_comes_and_goes(sign: float) -> None:
    """Where large forecasts meet large moves the shift alone rejects 8%."""

    def draw(rng: np.random.Generator) -> tuple[Any, Any]:
        shocks = rng.standard_normal(2001) * np.sqrt(1 - 0.99**2)
        returns = rng.standard_normal(2001) * np.exp(lfilter([1.0], [1.0, -0.99], shocks))
        return sign * returns[:-1], returns[1:]

    assert 0.03 <= rejected_share(draw, 1) <= 0.07


def test_an_estimates_interval_is_normal_around_it() -> None:
    # 1 -+ 1.959964 x 0.5
    assert Estimate(1.0, 0.5, 0.0).interval(0.95) == pytest.approx((0.020018, 1.979982), abs=1e-6)
