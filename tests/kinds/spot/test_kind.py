"""What a spot desk knows of an account that asks."""

from pathlib import Path

import numpy as np
import pytest

from rl_core.base.errors import TollgateError
from rl_core.kinds.registry import kind_of
from rl_core.lab.markets.spot import simulate_bars
from tests.conftest import small_desk
from tests.features.test_state import Prepare


def test_the_account_that_asks_becomes_the_four_account_features(
    prepare: Prepare, tmp_path: Path
) -> None:
    market = prepare(simulate_bars(200, seed=0))
    kind = kind_of(small_desk(tmp_path))
    state = kind.account_state(market, {"position": 0.25, "days_since_trade": 1.0})
    assert state.tolist() == pytest.approx([0.25, 0.25, 0.75, np.tanh(1.0)])
    assert kind.account_state(market, {}).tolist() == [0.0, 0.0, 1.0, 1.0]


@pytest.mark.parametrize(
    ("account", "message"),
    [
        ({"position": 1.5}, "position: Input should be less than or equal to 1, was 1.5"),
        ({"days_since_trade": -1.0}, "days_since_trade: Input should be greater than"),
        ({"contracts": 1.0}, "contracts: must be a known setting"),
    ],
)
def test_an_impossible_account_is_refused(
    prepare: Prepare, tmp_path: Path, account: dict[str, float], message: str
) -> None:
    market = prepare(simulate_bars(200, seed=0))
    with pytest.raises(TollgateError, match=message):
        kind_of(small_desk(tmp_path)).account_state(market, account)
