"""Simulated markets meet the contract and carry the signal that they were told to."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from rl_core.lab.markets.spot import simulate_bars, simulate_walk
from rl_core.market.bars import require_bar_contract
from rl_core.market.settings import BarsConfig, RandomWalk


@pytest.mark.parametrize("r2", [0.0, 0.05])
def test_the_past_explains_as_much_of_the_next_return_as_was_planted(r2: float) -> None:
    bars = require_bar_contract(simulate_bars(100_000, seed=1, signal_r2=r2))
    returns = pd.Series(np.diff(np.log(bars["close"])))
    known = returns.ewm(halflife=6.0, adjust=False).mean().shift()[1000:]
    explained = np.corrcoef(known, returns[1000:])[0, 1] ** 2
    assert explained == pytest.approx(r2, abs=0.006)


def test_a_seed_gives_one_market() -> None:
    pd.testing.assert_frame_equal(simulate_bars(100, seed=3), simulate_bars(100, seed=3))


def test_a_random_walk_is_what_its_settings_say() -> None:
    walk = RandomWalk(bars=50, seed=3, signal_r2=0.1, volatility=0.02)
    expected = simulate_bars(50, 3, signal_r2=0.1, is_reverting=True, volatility=0.02)
    pd.testing.assert_frame_equal(simulate_walk(walk, "1h"), expected)
    minutes = simulate_walk(walk, "15min")["timestamp"].diff().iloc[1]
    assert minutes == pd.Timedelta("15min")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"symbol": "BTC"}, "symbol of simulated bars must begin with SIM, was BTC"),
        ({"sessions": {}}, "a random walk must have no sessions"),
        ({"random_walk": None}, "must have one of path, url, download, .*, was none"),
    ],
)
def test_a_random_walk_is_named_simulated(settings: dict[str, object], message: str) -> None:
    base: dict[str, object] = {"random_walk": {"bars": 50}, "symbol": "SIM"}
    assert BarsConfig.model_validate(base).is_simulated
    with pytest.raises(ValidationError, match=message):
        BarsConfig.model_validate({**base, **settings})
