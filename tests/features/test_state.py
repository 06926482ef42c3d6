"""The state is 34 features, one table, and knows nothing later than its bar."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rl_core.features.prepare import PreparedMarket
from rl_core.features.state import MARKET_FEATURES
from rl_core.kinds.futures.state import FUTURES_STATE
from rl_core.kinds.portfolio.state import PORTFOLIO_STATE
from rl_core.kinds.spot.state import SPOT_STATE
from rl_core.lab.markets.spot import simulate_bars

Prepare = Callable[[pd.DataFrame], PreparedMarket]


def test_the_table_names_34_features_once_30_of_them_of_the_market() -> None:
    assert len(SPOT_STATE.names) == len(set(SPOT_STATE.names)) == 34
    assert len(SPOT_STATE.market_names) == 30
    assert SPOT_STATE.account_names == ("position", "leverage", "cash_fraction", "time_since_trade")


def test_the_documented_tables_are_those_of_the_code() -> None:
    text = (Path(__file__).parents[2] / "docs" / "state.md").read_text()
    documented = [line.split("`")[1] for line in text.splitlines() if line.startswith("| ")
                  and line.split("|")[1].strip().isdigit()]  # fmt: skip
    shared = len(SPOT_STATE.market)
    assert documented == [
        *SPOT_STATE.names, *FUTURES_STATE.names[shared:], *PORTFOLIO_STATE.names,
    ]  # fmt: skip


def test_past_returns_are_lagged_one_bar_returns(prepare: Prepare) -> None:
    bars = simulate_bars(200, seed=0)
    features = prepare(bars).features
    close = bars["close"].to_numpy()
    assert features[150, 0] == pytest.approx(close[150] / close[149] - 1, rel=1e-5)
    assert features[150, 19] == pytest.approx(close[131] / close[130] - 1, rel=1e-5)


def test_every_feature_stays_within_its_stated_range(prepare: Prepare) -> None:
    market = prepare(simulate_bars(2000, seed=1, volatility=0.05))
    complete = market.features[market.first_bar :]
    for column, feature in zip(complete.T, MARKET_FEATURES, strict=True):
        assert feature.low <= column.min(), feature.name
        assert column.max() <= feature.high, feature.name


def test_regimes_are_one_hot_and_their_thresholds_come_from_train_alone(prepare: Prepare) -> None:
    bars = simulate_bars(1000, seed=2)
    market = prepare(bars)
    one_hot = market.features[market.first_bar :, 24:27]
    np.testing.assert_array_equal(one_hot.sum(axis=1), 1.0)
    wild = bars.copy()
    wild.loc[600:, ["open", "high", "low", "close"]] *= 5.0  # later than the training half
    assert prepare(wild).thresholds == market.thresholds


@settings(
    max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)
@given(
    seed=st.integers(0, 10_000),
    last_known=st.integers(320, 640),
    factor=st.floats(0.2, 5.0),
)
def test_changing_any_later_bar_changes_no_feature_and_no_regime(
    prepare: Prepare, seed: int, last_known: int, factor: float
) -> None:
    bars = simulate_bars(641, seed=seed)  # thresholds are fitted on the first 320
    other = bars.copy()
    later = other.index > last_known
    other.loc[later, ["open", "high", "low", "close"]] *= factor
    other.loc[later, "volume"] = 0.0
    now, then = prepare(bars), prepare(other)
    known = slice(0, last_known + 1)
    np.testing.assert_array_equal(now.features[known], then.features[known])
    np.testing.assert_array_equal(now.regime[known], then.regime[known])
    np.testing.assert_array_equal(now.impact_scale[known], then.impact_scale[known])
