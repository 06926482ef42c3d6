"""Performance figures against hand-worked literals."""

import empyrical
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_core.kinds.spot.engine import walk_bars
from rl_core.kinds.spot.settings import AccountConfig, CostConfig
from rl_core.trading.performance import round_trip_profits, summarise
from tests.conftest import HOUR_NS, make_bars


def test_two_years_of_yearly_bars() -> None:
    year_ns = int(365.25 * 86_400e9)
    result = summarise(
        np.arange(3) * year_ns,
        equity=np.array([100.0, 150.0, 120.0]),
        is_held=np.array([1.0, 1.0]),
        trade_profits=np.array([20.0]),
        traded_value=np.array([100.0, 0.0]),
        costs=np.array([1.0, 0.0]),
    )
    assert result.total_return == pytest.approx(0.2)
    assert result.annual_return == pytest.approx(np.sqrt(1.2) - 1)
    assert result.annual_volatility == pytest.approx(0.35)  # returns +50%, -20%: sd 35%
    assert result.sharpe == pytest.approx(0.15 / 0.35)
    # two returns have skewness 0 and kurtosis 1: (1 - 0 + 0 x SR^2) / (2 - 1)
    assert result.sharpe_standard_error == pytest.approx(1.0)
    assert result.sharpe_low == pytest.approx(0.15 / 0.35 - 1.959964)
    assert result.sharpe_high == pytest.approx(0.15 / 0.35 + 1.959964)
    assert result.sortino == pytest.approx(0.15 / np.sqrt(0.2**2 / 2))
    assert result.max_drawdown == pytest.approx(0.2)
    assert result.annual_turnover == pytest.approx(100 / (370 / 3) / 2)
    assert result.costs_paid == pytest.approx(0.01)


def test_an_account_that_never_trades_has_undefined_ratios_and_not_zero_ones() -> None:
    flat = np.full(5, 100.0)
    result = summarise(
        np.arange(5) * HOUR_NS, flat, np.zeros(4), np.zeros(0), np.zeros(4), np.zeros(4)
    )
    assert result.sharpe is None
    assert result.win_rate is None
    assert result.profit_factor is None
    assert result.round_trips == 0


def test_a_flip_closes_one_trip_and_opens_the_next() -> None:
    equity = np.array([100.0, 109.0, 105.0, 105.0])
    after_fill = np.array([99.0, 107.0, 104.0])  # opens long at a cost of 1; flips; closes
    # long: -1 + 10 - 2; short: -2 - 1
    assert round_trip_profits(equity, np.array([1.0, -1.0, 0.0]), after_fill).tolist() == [
        7.0,
        -3.0,
    ]


@given(st.lists(st.floats(50, 200), min_size=3, max_size=40), st.integers(0, 1000))
def test_the_profits_of_all_trips_add_up_to_the_change_of_equity(
    closes: list[float], seed: int
) -> None:
    rng = np.random.default_rng(seed)
    bars = make_bars(closes)
    action = rng.integers(0, 3, len(closes)).astype(np.int8)
    costs = CostConfig(rebalance_band=0.0)
    walk = walk_bars(
        bars, action, rng.random(len(closes)) / 2, np.full(len(closes), 1e-5), costs.rates(HOUR_NS),
        AccountConfig(min_position=-0.5, max_position=0.5),
    )  # fmt: skip
    profits = round_trip_profits(walk.equity, walk.units[1:], walk.equity_after_fill[:-1])
    assert profits.sum() == pytest.approx(walk.equity[-1] - walk.equity[0], rel=1e-9, abs=1e-6)


def test_an_account_that_is_ruined_earns_nothing_afterwards() -> None:
    equity = np.array([100.0, -100.0, -200.0, -200.0])
    result = summarise(
        np.arange(4) * HOUR_NS,
        equity,
        np.array([-1.0, 0.0, 0.0]),
        np.array([-300.0]),
        np.zeros(3),
        np.zeros(3),
    )
    assert result.total_return == pytest.approx(-3.0)
    assert result.annual_return is None
    assert result.sharpe is not None
    assert result.sharpe < 0


@given(st.lists(st.floats(-0.2, 0.3), min_size=40, max_size=300))
def test_the_figures_that_empyrical_has_too_are_empyricals(returns: list[float]) -> None:
    """One account by the day for 365.25 days a year; its standard deviation divides by T."""
    earned = np.array(returns)
    equity = 100 * np.concatenate([[1.0], np.cumprod(1 + earned)])
    days = len(earned)
    found = summarise(
        np.arange(days + 1) * 24 * HOUR_NS, equity, np.ones(days), np.zeros(0), np.zeros(days),
        np.zeros(days),
    )  # fmt: skip
    year = 365.25
    to_sample = np.sqrt(days / (days - 1))
    assert found.total_return == pytest.approx(empyrical.cum_returns_final(earned), abs=1e-9)
    assert found.annual_return == pytest.approx(
        empyrical.annual_return(earned, annualization=year), rel=1e-6
    )
    assert found.max_drawdown == pytest.approx(-empyrical.max_drawdown(earned), abs=1e-9)
    assert found.annual_volatility * to_sample == pytest.approx(
        empyrical.annual_volatility(earned, annualization=year), abs=1e-9
    )
    if found.sharpe is not None and earned.std() > 1e-6:
        oracle = empyrical.sharpe_ratio(earned, annualization=year)
        assert found.sharpe / to_sample == pytest.approx(oracle, rel=1e-6)
    if found.sortino is not None and earned.min() < -1e-6:
        oracle = empyrical.sortino_ratio(earned, annualization=year)
        assert found.sortino == pytest.approx(oracle, rel=1e-6)


def test_every_figure_of_two_quarters_by_hand() -> None:
    quarter = int(365.25 * 86_400e9) // 4
    found = summarise(
        np.arange(3) * quarter, np.array([100.0, 150.0, 120.0]), np.array([1.0, 0.0]),
        np.array([20.0, -5.0, 0.0]), np.array([100.0, 0.0]), np.array([1.0, 0.0]),
    )  # fmt: skip
    # returns 0.5 and -0.2: mean 0.15, sd 0.35; four quarters a year, so times 2
    assert found.sharpe == pytest.approx(2 * 0.15 / 0.35)
    assert found.sharpe_low == pytest.approx(2 * (0.15 / 0.35 - 1.959964))
    assert found.sharpe_high == pytest.approx(2 * (0.15 / 0.35 + 1.959964))
    assert found.annual_volatility == pytest.approx(0.7)
    assert (found.win_rate, found.profit_factor) == (1 / 3, 4.0)
    assert (found.exposure, found.round_trips) == (0.5, 3)
