"""Indicators against values worked out by hand."""

import numpy as np
import pytest

from rl_core.features.indicators import compute_indicators
from tests.conftest import make_bars


def test_rsi_of_a_steady_rise_is_one_and_of_a_fair_zigzag_a_half() -> None:
    rise = compute_indicators(make_bars([float(100 + i) for i in range(40)]))
    assert rise.rsi[-1] == pytest.approx(1.0)
    zigzag = compute_indicators(make_bars([100.0 + (i % 2) for i in range(400)]))
    assert zigzag.rsi[-2:].mean() == pytest.approx(0.5, abs=1e-9)  # gains and losses balance


def test_bollinger_width_is_four_standard_deviations_over_the_mean() -> None:
    closes = [100.0 + (i % 2) * 2 for i in range(40)]  # mean 101, population sd 1
    assert compute_indicators(make_bars(closes)).bollinger_width[-1] == pytest.approx(4 / 101)


def test_volatility_is_the_sd_of_24_log_returns() -> None:
    growth = np.where(np.arange(60) % 2 == 0, 0.03, -0.01)  # mean 0.01, population sd 0.02
    closes = 100 * np.exp(np.cumsum(growth))
    indicators = compute_indicators(make_bars(closes.tolist()))
    assert indicators.volatility[-1] == pytest.approx(0.02)
    # 20 bars of mean 0.01 make 0.2, in units of 0.02 x sqrt(20)
    assert indicators.momentum[-1] == pytest.approx(0.2 / (0.02 * np.sqrt(20)))


def test_volume_ratio_compares_with_20_bars_and_is_zero_when_nothing_trades() -> None:
    bars = make_bars([100.0 + i % 3 for i in range(60)])
    bars["volume"] = 10.0
    bars.loc[30, "volume"] = 200.0
    bars.loc[35:, "volume"] = 0.0
    ratio = compute_indicators(bars).volume_ratio
    assert ratio[30] == pytest.approx(200 / ((19 * 10 + 200) / 20))
    assert ratio[59] == 0.0


def test_a_market_that_never_moves_gives_numbers_and_not_nan() -> None:
    indicators = compute_indicators(make_bars([100.0] * 80))
    for name in ("rsi", "macd_signal", "bollinger_width", "volatility", "momentum", "adx"):
        assert np.isfinite(getattr(indicators, name)[-1]), name
