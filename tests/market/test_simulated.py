"""Simulated markets meet the contract and carry the signal that they were told to."""

import numpy as np
import pandas as pd
import pytest

from rl_core.market.bars import require_bar_contract
from rl_core.market.simulated import simulate_bars


@pytest.mark.parametrize("r2", [0.0, 0.05])
def test_the_past_explains_as_much_of_the_next_return_as_was_planted(r2: float) -> None:
    bars = require_bar_contract(simulate_bars(100_000, seed=1, signal_r2=r2))
    returns = pd.Series(np.diff(np.log(bars["close"])))
    known = returns.ewm(halflife=6.0, adjust=False).mean().shift()[1000:]
    explained = np.corrcoef(known, returns[1000:])[0, 1] ** 2
    assert explained == pytest.approx(r2, abs=0.006)


def test_a_seed_gives_one_market() -> None:
    pd.testing.assert_frame_equal(simulate_bars(100, seed=3), simulate_bars(100, seed=3))
