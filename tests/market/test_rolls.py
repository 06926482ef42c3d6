"""No return is taken across a roll, and rolls that no exchange made are found."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_core.market.rolls import bad_rolls, continuous_prices, rolls
from tests.conftest import make_bars


def rolled(closes: list[float], contracts: str) -> pd.DataFrame:
    """Bars that open where they close; a letter a bar names its contract."""
    return make_bars(closes, open_price=closes).assign(contract=list(contracts))


def test_continuous_prices_open_where_the_old_contract_closed() -> None:
    bars = rolled([100.0, 102.0, 204.0, 210.0], "AABB")
    smooth = continuous_prices(bars)
    assert rolls(bars).tolist() == [False, False, True, False]
    assert smooth["close"].tolist() == pytest.approx([100.0, 102.0, 102.0, 105.0])
    returns = smooth["close"].pct_change().to_numpy()[1:]
    assert returns == pytest.approx([0.02, 0.0, 210 / 204 - 1])


def test_bars_without_contracts_never_roll() -> None:
    bars = make_bars([100.0, 300.0])
    assert not rolls(bars).any()
    assert continuous_prices(bars) is bars


@given(st.lists(st.floats(50, 200), min_size=6, max_size=30), st.integers(1, 5))
def test_later_rolls_do_not_change_earlier_prices(closes: list[float], cut: int) -> None:
    bars = rolled(closes, "".join("AABBCC"[i % 6] for i in range(len(closes))))
    whole = continuous_prices(bars)["close"][:cut]
    pd.testing.assert_series_equal(whole, continuous_prices(bars[:cut])["close"])


@pytest.mark.parametrize(
    ("contracts", "closes", "session", "bad"),
    [
        ("AABB", [100, 100, 101, 101], [0, 0, 1, 1], []),  # an honest roll
        ("ABAB", [100, 100, 100, 100], [0, 1, 2, 3], [2, 3]),  # back and forth
        ("AABB", [100, 100, 110, 110], [0, 0, 1, 1], [2]),  # 10% away
        ("AABB", [100, 100, 101, 101], [0, 1, 1, 1], [2]),  # in the middle of a session
    ],
)
def test_rolls_that_no_exchange_made(
    contracts: str, closes: list[float], session: list[int], bad: list[int]
) -> None:
    found = bad_rolls(rolled([float(c) for c in closes], contracts), np.array(session), 0.03)
    assert np.flatnonzero(found).tolist() == bad
