"""Fills keep honest books, and are the same for a float and for a batch."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from rl_core.kinds.spot.settings import CostConfig
from rl_core.trading.accounts import (
    BUY,
    HOLD,
    SELL,
    account_features,
    target_position,
    trade_and_mark,
)
from rl_core.trading.fills import rebalance
from rl_core.trading.impact import impact_scale
from rl_core.trading.terms import CostRates
from tests.conftest import HOUR_NS, make_bars

FREE = CostRates(commission=0, price_cost=0, max_impact=0.05, rebalance_band=0, borrow_per_bar=0)
COSTLY = CostRates(
    commission=0.01, price_cost=0.02, max_impact=0.05, rebalance_band=0, borrow_per_bar=0
)


def test_a_quoted_spread_is_paid_on_both_ways() -> None:
    # mid 10, bid 9.9, ask 10.1: 100 buys 100 / 10.1 units, which are sold at 9.9
    bought = rebalance(100.0, 0.0, True, 1.0, 10.0, 0.0, FREE, 0.01)
    assert (bought.units, bought.price) == (pytest.approx(100 / 10.1), pytest.approx(10.1))
    sold = rebalance(bought.cash, bought.units, True, 0.0, 10.0, 0.0, FREE, 0.01)
    assert sold.cash == pytest.approx(100 / 10.1 * 9.9)
    assert bought.cost + sold.cost == pytest.approx(100 - sold.cash)


def test_a_free_full_buy_spends_all_cash() -> None:
    fill = rebalance(100.0, 0.0, True, 1.0, 20.0, 0.0, FREE, 0.0)
    assert (fill.cash, fill.units, fill.price, fill.cost) == (0.0, 5.0, 20.0, 0.0)


def test_a_full_buy_pays_its_costs_out_of_the_same_money() -> None:
    fill = rebalance(100.0, 0.0, True, 1.0, 10.0, 0.0, COSTLY, 0.0)
    # one unit costs 10 x 1.02 at the fill and 1% commission on that
    assert fill.units == pytest.approx(100 / (10 * 1.02 * 1.01))
    assert fill.price == pytest.approx(10.2)
    assert fill.cash == pytest.approx(0.0, abs=1e-12)
    assert fill.cost == pytest.approx(100 - fill.units * 10)


def test_a_round_trip_at_a_constant_price_loses_the_costs_both_ways() -> None:
    bought = rebalance(100.0, 0.0, True, 1.0, 10.0, 0.0, COSTLY, 0.0)
    sold = rebalance(bought.cash, bought.units, True, 0.0, 10.0, 0.0, COSTLY, 0.0)
    assert sold.units == 0.0
    assert sold.cash == pytest.approx(100 * (0.98 * 0.99) / (1.02 * 1.01))


def test_a_full_short_receives_less_than_it_owes() -> None:
    fill = rebalance(100.0, 0.0, True, -1.0, 10.0, 0.0, COSTLY, 0.0)
    equity = fill.cash + fill.units * 10
    assert fill.units * 10 == pytest.approx(-equity)  # exactly -1 of what is left
    assert equity == pytest.approx(100 - fill.cost)
    covered = rebalance(fill.cash, fill.units, True, 0.0, 10.0, 0.0, COSTLY, 0.0)
    assert covered.units == 0.0


def test_impact_follows_the_square_root_and_stops_at_its_cap() -> None:
    rates = FREE._replace(max_impact=0.05)
    small = rebalance(100.0, 0.0, True, 1.0, 10.0, 0.001, rates, 0.0)
    assert small.price == pytest.approx(10 * (1 + 0.001 * 10))  # sqrt(100) = 10
    assert rebalance(100.0, 0.0, True, 1.0, 10.0, 1e6, rates, 0.0).price == pytest.approx(10.5)


def test_hold_and_changes_within_the_band_trade_nothing_but_going_flat_always_does() -> None:
    banded = COSTLY._replace(rebalance_band=0.2)
    held = (50.0, 5.0)  # at 10: half invested
    assert rebalance(*held, False, 1.0, 10.0, 0.0, banded, 0.0)[:2] == held
    assert rebalance(*held, True, 0.6, 10.0, 0.0, banded, 0.0)[:2] == held
    assert rebalance(*held, True, 0.8, 10.0, 0.0, banded, 0.0).units > 5.0
    assert rebalance(99.0, 0.1, True, 0.0, 10.0, 0.0, banded, 0.0).units == 0.0


@pytest.mark.parametrize(
    ("action", "strength", "low", "target"),
    [(HOLD, 0.7, -1.0, 0.0), (BUY, 0.7, -1.0, 0.7), (SELL, 0.7, -1.0, -0.7), (SELL, 0.7, 0.0, 0.0),
     (SELL, 0.7, -0.5, -0.5)],
)  # fmt: skip
def test_orders_want_what_the_desk_allows(
    action: int, strength: float, low: float, target: float
) -> None:
    assert target_position(action, strength, low, 1.0) == pytest.approx(target)


def test_a_short_pays_to_borrow_over_the_bar() -> None:
    rates = FREE._replace(borrow_per_bar=0.001)
    mark = trade_and_mark(100.0, 0.0, True, -1.0, 10.0, 11.0, 0.0, rates, 0.0)
    assert mark.borrow_cost == pytest.approx(10 * 11 * 0.001)
    assert mark.equity == pytest.approx(200 - 110 - 0.11)


rebalance_compiled = njit(rebalance)
accounts = st.tuples(
    st.floats(-50, 500), st.floats(-3, 10), st.booleans(), st.floats(-1, 1), st.floats(1, 100),
    st.floats(0, 0.01), st.floats(0, 0.01), st.floats(0, 0.01),
).filter(lambda a: a[0] + a[1] * a[4] > 1)  # fmt: skip


@given(accounts)
def test_money_is_conserved_and_an_order_reaches_its_target(
    account: tuple[float, float, bool, float, float, float, float, float],
) -> None:
    cash, units, is_order, target, price, scale, commission, price_cost = account
    rates = COSTLY._replace(commission=commission, price_cost=price_cost)
    fill = rebalance(cash, units, is_order, target, price, scale, rates, 0.0)
    before, after = cash + units * price, fill.cash + fill.units * price
    assert fill.cost >= 0
    assert after == pytest.approx(before - fill.cost, rel=1e-9, abs=1e-9)
    if fill.traded_units:
        assert fill.units * price == pytest.approx(target * after, rel=5e-3, abs=1e-9)
    if fill.traded_units > 0 and target >= 0 and cash >= 0 and units >= 0:
        assert fill.cash >= -1e-9 * before


@given(st.lists(accounts, min_size=1, max_size=8))
def test_a_batch_in_torch_a_float_in_python_and_compiled_code_agree(
    batch: list[tuple[float, float, bool, float, float, float, float, float]],
) -> None:
    columns = [
        torch.tensor(column, dtype=torch.bool if i == 2 else torch.float64)
        for i, column in enumerate(zip(*[a[:7] for a in batch], strict=True))
    ]
    cash, units, is_order, target, price, scale, spread = columns
    batched = rebalance(cash, units, is_order, target, price, scale, COSTLY, spread)
    for i, account in enumerate(batch):
        single = rebalance(*account[:6], COSTLY, account[6])
        compiled = rebalance_compiled(*account[:6], COSTLY, account[6])
        for name in ("cash", "units", "cost"):
            expected = getattr(single, name)
            assert getattr(batched, name)[i].item() == pytest.approx(expected, rel=1e-12, abs=1e-12)
            assert getattr(compiled, name) == pytest.approx(expected, rel=1e-12, abs=1e-12)


def test_impact_scale_is_y_sigma_over_the_root_of_traded_value_and_finite_when_unknown() -> None:
    bars = make_bars([100.0] * 3)  # 1e6 units x 100 = 1e8 traded a bar
    bars.loc[2, "volume"] = 0.0
    volatility = np.array([np.nan, 0.01, 0.01])
    scale = impact_scale(bars, volatility, 2.0, window_bars=1)
    assert scale[1] == pytest.approx(2.0 * 0.01 / 1e4)
    assert scale[[0, 2]].tolist() == [2e6, 2e6]  # far beyond any cap


def test_costs_of_a_desk_become_rates_of_a_fill() -> None:
    rates = CostConfig(
        slippage_rate=0.0005, half_spread_rate=0.0001, borrow_annual_rate=0.0876
    ).rates(HOUR_NS)
    assert rates.price_cost == pytest.approx(0.0006)
    assert rates.borrow_per_bar == pytest.approx(0.0876 / 8766)


def test_account_features_of_half_invested_and_short_accounts() -> None:
    features = account_features(
        np.array([50.0, 200.0]),
        np.array([5.0, -10.0]),
        np.array([10.0, 10.0]),
        np.array([0.0, 1e6]),
        np.tanh,
    )
    assert np.column_stack(features).tolist() == [[0.5, 0.5, 0.5, 0.0], [-1.0, 1.0, 2.0, 1.0]]


def test_impact_looks_back_twenty_bars_and_no_further() -> None:
    bars = make_bars([100.0] * 21)
    bars.loc[0, "volume"] = 1e9
    scale = impact_scale(bars, np.full(21, 0.01), 1.0)
    assert scale[20] == pytest.approx(0.01 / 1e4)  # 1e8 traded a bar: the first is forgotten


def test_an_account_without_a_cent_is_closed() -> None:
    costless = CostRates(
        commission=0.0, price_cost=0.0, max_impact=0.0, rebalance_band=0.0, borrow_per_bar=0.0
    )
    mark = trade_and_mark(10.0, -1.0, False, 0.0, 10.0, 5.0, 0.0, costless, 0.0)  # short at twice
    assert (mark.units, mark.equity) == (0.0, 0.0)
