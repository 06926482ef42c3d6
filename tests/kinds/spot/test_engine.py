"""The backtest fills at the next open, keeps its books, and cannot see ahead."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_core.kinds.spot.engine import Walk, walk_bars
from rl_core.kinds.spot.settings import AccountConfig, CostConfig
from rl_core.trading.accounts import BUY, HOLD, SELL
from rl_core.trading.terms import CostRates
from tests.conftest import HOUR_NS, make_bars

FREE = CostRates(commission=0, price_cost=0, max_impact=0.05, rebalance_band=0, borrow_per_bar=0)
LONG_SHORT = AccountConfig(initial_cash=100.0, min_position=-1.0)


def walk(
    closes: list[float], opens: list[float], actions: list[int], strength: float = 1.0
) -> Walk:
    return walk_bars(
        make_bars(closes, opens),
        np.array(actions, dtype=np.int8),
        np.full(len(closes), strength),
        np.zeros(len(closes)),
        FREE,
        LONG_SHORT,
    )


def test_a_decision_fills_at_the_next_open_and_is_marked_at_the_next_close() -> None:
    result = walk([10.0, 25.0, 30.0], [10.0, 20.0, 25.0], [BUY, HOLD, HOLD])
    assert result.fill_price[0] == 20.0
    assert result.units.tolist() == [0.0, 5.0, 5.0]
    assert result.equity.tolist() == [100.0, 125.0, 150.0]


def test_long_to_short_to_flat_by_hand() -> None:
    result = walk([10.0] * 5, [10.0, 10.0, 20.0, 10.0, 10.0], [BUY, SELL, BUY, HOLD, HOLD], 1.0)
    # 10 units at 10; at an open of 20 equity is 200: short 10; at 10 it is 300: long 30
    assert result.units.tolist() == [0.0, 10.0, -10.0, 30.0, 30.0]
    assert result.cash.tolist() == [100.0, 0.0, 400.0, 0.0, 0.0]


def test_the_last_decision_never_fills() -> None:
    result = walk([10.0, 10.0], [10.0, 10.0], [HOLD, BUY])
    assert np.isnan(result.fill_price[-1])
    assert np.isnan(result.equity_after_fill[-1])


def test_an_account_that_lost_everything_is_closed_and_stays_closed() -> None:
    opens = [10.0, 10.0, 40.0, 5.0, 5.0]
    result = walk([10.0, 30.0, 40.0, 5.0, 5.0], opens, [SELL, HOLD, BUY, BUY, HOLD])
    # short 10 at 10; at an open of 40 it owes 400 of 200: closed at -200
    assert result.units.tolist() == [0.0, -10.0, 0.0, 0.0, 0.0]
    assert result.equity.tolist() == [100.0, -100.0, -200.0, -200.0, -200.0]


def test_days_since_the_last_trade_are_counted_from_its_bar() -> None:
    result = walk([10.0] * 4, [10.0] * 4, [HOLD, BUY, HOLD, HOLD])
    assert result.days_since_trade[:2].min() > 1e5
    assert result.days_since_trade[2:].tolist() == pytest.approx([0.0, 1 / 24])


prices = st.floats(20, 500)
actions = st.sampled_from([HOLD, BUY, SELL])
decisions = st.lists(st.tuples(prices, prices, actions, st.floats(0, 1)), min_size=3, max_size=50)
COSTS = CostConfig(rebalance_band=0.0).rates(HOUR_NS)
HALF = AccountConfig(initial_cash=100.0, min_position=-0.3)  # so that no short can ruin it


def walk_decisions(rows: list[tuple[float, float, int, float]]) -> Walk:
    opens, closes, actions, strengths = zip(*rows, strict=True)
    bars = make_bars(list(closes), list(opens))
    return walk_bars(
        bars,
        np.array(actions, dtype=np.int8),
        np.array(strengths),
        np.full(len(rows), 1e-4),
        COSTS,
        HALF,
    )


@given(decisions)
def test_equity_changes_by_price_moves_and_costs_alone(
    rows: list[tuple[float, float, int, float]],
) -> None:
    result = walk_decisions(rows)
    opens, closes = np.array([r[0] for r in rows]), np.array([r[1] for r in rows])
    moved = result.units[:-1] * (opens[1:] - closes[:-1]) + result.units[1:] * (
        closes[1:] - opens[1:]
    )
    np.testing.assert_allclose(
        np.diff(result.equity), moved - result.cost[:-1], rtol=1e-9, atol=1e-7
    )
    np.testing.assert_allclose(result.cash + result.units * closes, result.equity, rtol=1e-12)


@given(decisions, st.data())
def test_later_bars_and_decisions_cannot_change_the_account(
    rows: list[tuple[float, float, int, float]], data: st.DataObject
) -> None:
    end = data.draw(st.integers(2, len(rows)))
    changed = rows[:end] + [(o * 2, c / 2, SELL, 1.0) for o, c, _, _ in rows[end:]]
    now, then = walk_decisions(rows), walk_decisions(changed)
    for name in ("cash", "units", "equity", "days_since_trade"):
        np.testing.assert_array_equal(getattr(now, name)[:end], getattr(then, name)[:end])
