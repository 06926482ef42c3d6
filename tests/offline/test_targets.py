"""Targets are looked up by timestamp."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rl_core.offline.targets import forward_returns
from tests.conftest import HOUR_NS


def test_a_hole_makes_a_target_unknown_where_a_row_shift_would_be_wrong() -> None:
    ns = np.array([0, 1, 2, 4, 5]) * HOUR_NS
    close = np.array([100.0, 110.0, 99.0, 198.0, 99.0])
    np.testing.assert_allclose(forward_returns(ns, close, "1h"), [0.1, -0.1, np.nan, -0.5, np.nan])
    np.testing.assert_allclose(
        forward_returns(ns, close, "2h"), [-0.01, np.nan, 1.0, np.nan, np.nan]
    )


def test_no_return_is_taken_from_one_contract_to_another() -> None:
    ns, close = np.arange(4) * HOUR_NS, np.array([100.0, 110.0, 220.0, 110.0])
    contract = np.array(["H", "H", "M", "M"])
    found = forward_returns(ns, close, "1h", contract)
    np.testing.assert_allclose(found, [0.1, np.nan, -0.5, np.nan])


@given(st.lists(st.integers(1, 3), min_size=2, max_size=60), st.integers(1, 5))
def test_every_known_target_is_a_bar_exactly_one_horizon_later(
    steps: list[int], hours: int
) -> None:
    ns = np.cumsum(steps) * HOUR_NS
    close = np.arange(1.0, len(ns) + 1)
    by_time = dict(zip(ns.tolist(), close.tolist(), strict=True))
    for t, target in enumerate(forward_returns(ns, close, f"{hours}h")):
        later = by_time.get(int(ns[t]) + hours * HOUR_NS)
        assert np.isnan(target) if later is None else target == later / close[t] - 1
