"""Regimes: thresholds are quantiles of train, filters keep what they say."""

import numpy as np
import pytest

from rl_core.base.errors import TollgateError
from rl_core.features.indicators import compute_indicators
from rl_core.features.regimes import (
    RegimeThresholds,
    fit_regime_thresholds,
    regime_filter,
    volatility_regime,
)
from rl_core.features.settings import RegimeConfig
from rl_core.lab.markets.spot import simulate_bars

THRESHOLDS = RegimeThresholds(
    low_volatility=0.01, high_volatility=0.02, high_atr_fraction=0.03, trending_adx=0.25
)


def test_a_third_of_the_training_bars_falls_into_each_volatility_regime() -> None:
    indicators = compute_indicators(simulate_bars(3024, seed=0))
    thresholds = fit_regime_thresholds(indicators, np.ones(3024, dtype=bool), RegimeConfig())
    regime = volatility_regime(indicators, thresholds)
    assert np.bincount(regime[regime >= 0]) / 3000 == pytest.approx([1 / 3] * 3, abs=0.001)
    assert (regime[:24] == -1).all()  # not yet known


def test_each_filter_keeps_its_bars_and_none_of_the_warm_up() -> None:
    atr, adx = np.array([0.02, 0.03, 0.05, np.nan]), np.array([0.10, 0.25, 0.40, np.nan])
    assert regime_filter(atr, adx, THRESHOLDS, "all").tolist() == [True] * 4
    assert regime_filter(atr, adx, THRESHOLDS, "high_volatility").tolist() == [
        False,
        True,
        True,
        False,
    ]
    assert regime_filter(atr, adx, THRESHOLDS, "trending").tolist() == [False, True, True, False]
    assert regime_filter(atr, adx, THRESHOLDS, "ranging").tolist() == [True, False, False, False]


def test_thresholds_need_training_bars_after_the_warm_up() -> None:
    indicators = compute_indicators(simulate_bars(200, seed=0))
    with pytest.raises(TollgateError, match="must outlast the indicators' warm-up, was 5 bars"):
        fit_regime_thresholds(indicators, np.arange(200) < 5, RegimeConfig())
