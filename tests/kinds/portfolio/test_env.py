"""The portfolio environment and the backtest: one account by hand, and what must always hold."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_core.kinds.portfolio.engine import new_account, walk_portfolio
from rl_core.kinds.portfolio.env import PortfolioState, PortfolioWindows
from rl_core.kinds.portfolio.kind import PortfolioKind, trade_profits
from rl_core.kinds.portfolio.market import PanelMarket
from rl_core.kinds.portfolio.settings import FACTOR_REGIMES
from tests.panels import (
    panel_of,
    portfolio_desk,
    prepared,
    random_closes,
    with_comings_and_goings,
)

NAMES = [regime.name for regime in FACTOR_REGIMES]
FREE = {
    "commission_rate": 0, "half_spread_rate": 0, "max_slippage_rate": 0, "impact": "none",
}  # fmt: skip
MARKET = prepared(panel_of(with_comings_and_goings(random_closes(320, 9))))
FIRST = 210
CPU = torch.device("cpu")


def kind(**changes: Any) -> PortfolioKind:
    return PortfolioKind(portfolio_desk(Path("none.parquet"), **changes))


def windows(market: PanelMarket = MARKET, **changes: Any) -> PortfolioWindows:
    return kind(**changes).environment(market, CPU, torch.float64)


def act(environment: PortfolioWindows, actions: np.ndarray, first: int = FIRST) -> list[Any]:
    """States after each of (T, N) actions."""
    bar = torch.full((actions.shape[1],), first)
    state = environment.open_accounts(bar, bar + 10_000)
    states = [state]
    for row in actions:
        state = environment.step(state, torch.tensor(row), torch.ones(len(row))).state
        states.append(state)
    return states


def sloping_universe() -> PanelMarket:
    """Flat after 200 sessions, until stock 0 rises by a tenth and stock 1 falls by a fifth."""
    close = np.tile([100.0, 50.0, 20.0, 10.0], (216, 1))
    close[:200] *= 1 + 0.001 * (-1.0) ** np.arange(200)[:, None]
    close[212:, 0] *= 1.1
    close[213:, 1] *= 0.8
    return prepared(panel_of(close), costs=FREE)


def test_an_account_by_hand_without_costs() -> None:
    environment = windows(sloping_universe(), costs=FREE)
    equal, hold, half = (NAMES.index(name) for name in ("EQUAL_WEIGHT", "HOLD", "DEFENSIVE"))
    states = act(environment, np.array([[equal], [hold], [hold], [half]]))
    # ordered at 210, bought at the close of 211: a quarter of a million each
    assert states[1].units[0].tolist() == [2500.0, 5000.0, 12500.0, 25000.0]
    assert float(states[1].cash) == 0.0
    assert float(states[2].equity) == pytest.approx(1_025_000)  # 212: a tenth of a quarter
    assert float(states[3].equity) == pytest.approx(975_000)  # 213: a fifth of a quarter
    # 214: half of 975,000 goes into four equal parts
    assert states[4].units[0].tolist() == pytest.approx([1107.954545, 3046.875, 6093.75, 12187.5])
    assert float(states[4].cash) == pytest.approx(487_500)


def test_costs_by_hand() -> None:
    costs = {"commission_rate": 0.0001, "half_spread_rate": 0.0002, "max_slippage_rate": 0}
    market = sloping_universe()
    desk = kind(costs=costs)
    environment = desk.environment(
        dataclasses.replace(
            market,
            slippage=np.zeros_like(market.slippage),
            stock_impact_scale=np.full_like(market.stock_impact_scale, 0.01),
        ),
        CPU, torch.float64,
    )  # fmt: skip
    states = act(environment, np.array([[NAMES.index("EQUAL_WEIGHT")], [NAMES.index("FULL_CASH")]]))
    # four quarters at 0.03% and 0.01 x sqrt(1/4) = 0.5%: the cash buys 1 / 1.0053 of what is wanted
    bought = 1_000_000 / 1.0053
    assert float(states[1].equity) == pytest.approx(bought)
    assert float(states[1].cash) == 0.0
    # at 212 stock 0 has risen by a tenth; everything is sold, each for its own impact
    value = bought / 4 * np.array([1.1, 1, 1, 1])
    rate = 0.0003 + 0.01 * np.sqrt(value / value.sum())
    assert float(states[2].cash) == pytest.approx((value * (1 - rate)).sum())
    assert not states[2].units.any()


@settings(max_examples=25)
@given(st.lists(st.integers(0, 11), min_size=2, max_size=60), st.integers(0, 50))
def test_cash_and_holdings_are_equity_and_never_negative(actions: list[int], later: int) -> None:
    """Over random actions, while stocks come, pause and leave; the environment is the backtest."""
    first = FIRST - 10 + later
    states = act(windows(), np.array(actions)[:, None], first)
    for state in states:
        held = (state.units * torch.tensor(MARKET.listed.price[state.bar])).sum()
        assert float(state.cash + held) == pytest.approx(float(state.equity), rel=1e-9)
        assert float(state.cash) >= 0
        assert (state.units >= 0).all()
        listed = MARKET.listed.is_listed[state.bar]
        assert not state.units[0].numpy()[~listed[0]].any()
    walk = kind().walk(MARKET, first, np.array([*actions, 0], dtype=np.int8), np.ones(1))
    assert walk.equity == pytest.approx([float(s.equity) for s in states], rel=1e-12)
    account_features = np.stack([walk.records[name] for name in kind().state.account_names], axis=1)
    seen = [windows().observe(state).account_features[0].numpy() for state in states]
    assert account_features == pytest.approx(np.array(seen), rel=1e-5, abs=1e-6)


def test_n_accounts_are_n_times_one() -> None:
    actions = np.random.default_rng(3).integers(0, 12, (40, 6))
    together = act(windows(), actions)[-1]
    for account in range(6):
        alone = act(windows(), actions[:, [account]])[-1]
        assert torch.equal(alone.units[0], together.units[account])
        assert float(alone.equity) == float(together.equity[account])


@pytest.mark.parametrize("is_float32", [False, True])
def test_a_delisting_pays_the_last_price_once(*, is_float32: bool) -> None:
    close = np.tile([100.0, 50.0, 20.0, 10.0], (230, 1))
    close[:200] *= 1 + 0.001 * (-1.0) ** np.arange(200)[:, None]
    close[215:, 2] = np.nan  # trades for the last time at 214; has left after five sessions: 219
    market = prepared(panel_of(close), costs=FREE)
    dtype = torch.float32 if is_float32 else torch.float64
    environment = kind(costs=FREE).environment(market, CPU, dtype)
    hold = [[NAMES.index("HOLD")]] * 12
    states = act(environment, np.array([[NAMES.index("EQUAL_WEIGHT")], *hold]))
    by_bar = {int(state.bar): state for state in states}
    assert float(by_bar[218].cash) == 0.0
    assert float(by_bar[218].units[0, 2]) == 12_500
    assert float(by_bar[219].cash) == float(by_bar[223].cash) == 250_000
    assert float(by_bar[219].units[0, 2]) == 0
    assert {float(state.equity) for state in states} == {1_000_000}


def test_a_stock_that_does_not_trade_that_day_is_neither_bought_nor_sold() -> None:
    close = np.tile([100.0, 50.0, 20.0, 10.0], (230, 1))
    close[:200] *= 1 + 0.001 * (-1.0) ** np.arange(200)[:, None]
    close[213, 1] = np.nan
    market = prepared(panel_of(close), costs=FREE)
    equal, cash = NAMES.index("EQUAL_WEIGHT"), NAMES.index("FULL_CASH")
    states = act(windows(market, costs=FREE), np.array([[equal], [0], [cash], [cash]]))
    assert states[3].units[0].tolist() == [0, 5000, 0, 0]  # at 213
    assert not states[4].units.any()
    kept = act(windows(market, costs=FREE), np.array([[equal], [0], [equal]]))[-1]
    assert kept.units[0].tolist() == [2500, 5000, 12500, 25000]  # it has its weight, like the rest
    late = act(windows(market, costs=FREE), np.array([[0], [0], [equal]]))[-1]
    assert late.units[0].tolist() == [2500, 0, 12500, 25000]
    assert float(late.cash) == 250_000


def test_the_future_changes_nothing_that_an_account_saw_or_held() -> None:
    close = with_comings_and_goings(random_closes(320, 9))
    spoiled = close.copy()
    spoiled[260:] *= np.random.default_rng(2).uniform(0.5, 2, (60, 9))
    spoiled[262:, 3] = np.nan
    actions = np.random.default_rng(4).integers(0, 12, (50, 4))
    both = [act(windows(prepared(panel_of(each))), actions) for each in (close, spoiled)]
    for state, other in zip(*both, strict=True):
        if int(state.bar[0]) < 260:
            assert torch.equal(state.equity, other.equity)
            assert torch.equal(state.units, other.units)


def three_stocks(last: list[float]) -> PanelMarket:
    """B leads over 20 sessions until the last close, which is given; there are 212 sessions."""
    ramp = np.linspace(0, 1, 211)[:, None]
    close = np.array([100.0, 100.0, 100.0]) * (1 + ramp * np.array([0.1, 0.4, 0.05]))
    close[::2] *= 1.001
    return prepared(panel_of(np.vstack([close, last]), ("A", "B", "C")), costs=FREE)


@pytest.mark.parametrize("last", [[110.0, 140.0, 105.0], [500.0, 20.0, 105.0]])
def test_a_trade_is_into_what_was_known_before_its_price(last: list[float]) -> None:
    """Decided at 210, filled at 211: the close of 211 itself makes A lead, and nobody knew."""
    market = three_stocks(last)
    risk_on, names = NAMES.index("RISK_ON"), market.symbols
    state = act(windows(market, costs=FREE), np.array([[risk_on]]), 210)[-1]
    assert [names[place] for place in np.flatnonzero(state.units[0])] == ["B"]
    assert float(state.units[0, 1]) == pytest.approx(1_000_000 / last[1])
    walk = kind(costs=FREE).walk(market, 210, np.array([risk_on, 0], dtype=np.int8), np.ones(2))
    assert walk.records["momentum_exposure"][1] == (1.0 if last[0] < 500 else -1.0)


def test_costs_are_those_of_the_fills_day_and_of_what_was_known_before() -> None:
    plain = sloping_universe()
    slippage, impact = np.zeros_like(plain.slippage), np.zeros_like(plain.stock_impact_scale)
    slippage[211], impact[210] = 0.001, 0.02
    market = dataclasses.replace(plain, slippage=slippage, stock_impact_scale=impact)
    costs = {"commission_rate": 0, "half_spread_rate": 0}
    equal = NAMES.index("EQUAL_WEIGHT")
    state = act(windows(market, costs=costs), np.array([[equal]]), 210)[-1]
    assert float(state.equity) == pytest.approx(1_000_000 / (1 + 0.001 + 0.02 * np.sqrt(1 / 4)))
    walk = kind(costs=costs).walk(market, 210, np.array([equal, 0], dtype=np.int8), np.ones(2))
    assert walk.equity[1] == pytest.approx(float(state.equity), rel=1e-12)


@settings(max_examples=20)
@given(st.lists(st.sampled_from([0, 0, 1, 2, 4, 5]), min_size=3, max_size=40))
def test_profits_of_trades_add_up_to_what_was_earned(actions: list[int]) -> None:
    walk = walk_portfolio(
        MARKET, FIRST, np.array([*actions, 0], dtype=np.int8), FACTOR_REGIMES,
        kind().desk.allocations.portfolios, kind().desk.costs.rates, new_account(9, 1e6),
    )  # fmt: skip
    held = (walk.units * MARKET.listed.price[FIRST : FIRST + len(actions) + 1]).sum(axis=1) > 0
    earned = walk.equity[-1] - walk.equity[0]
    assert trade_profits(walk, held).sum() == pytest.approx(earned, abs=1e-6)

    environment = windows()
    bar = torch.tensor([FIRST])
    state = environment.open_accounts(bar, bar + len(actions))
    told = 0.0
    for action in actions:
        result = environment.step(state, torch.tensor([action]), torch.ones(1))
        told += float(torch.where(result.ledger.closed, result.ledger.trade_pnl, 0.0).sum())
        state = result.state
    assert told == pytest.approx(earned, abs=1e-6)


def test_a_deep_drawdown_terminates_and_the_reward_is_log_growth_in_percent() -> None:
    close = np.tile([100.0, 50.0, 20.0], (230, 1))
    close[:200] *= 1 + 0.001 * (-1.0) ** np.arange(200)[:, None]
    close[212:] *= 0.8
    environment = windows(prepared(panel_of(close), costs=FREE), costs=FREE,
                          environment={"max_drawdown": 0.19})  # fmt: skip
    start = environment.open_accounts(torch.tensor([210]), torch.tensor([229]))
    bought = environment.step(start, torch.tensor([4]), torch.ones(1))
    fallen = environment.step(bought.state, torch.tensor([0]), torch.ones(1))
    assert float(fallen.reward) == pytest.approx(100 * np.log(0.8))
    assert bool(fallen.terminated)
    assert not bool(fallen.truncated)
    assert float(fallen.ledger.drawdown) == pytest.approx(0.2)
    assert bool(fallen.ledger.closed)
    assert float(fallen.ledger.trade_pnl) == pytest.approx(-200_000)


def test_training_begins_with_a_random_regime_and_slippage_of_its_own() -> None:
    environment = kind().training_environment(MARKET, np.arange(205, 319), 16, CPU)
    state = environment.reset_state(4000, 16, torch.Generator().manual_seed(0))
    assert isinstance(state, PortfolioState)
    price = torch.tensor(MARKET.listed.price, dtype=torch.float32)[state.bar]
    held = (state.units * price).sum(dim=1)
    assert (state.cash + held).numpy() == pytest.approx(1e6, rel=1e-6)
    # of twelve regimes HOLD and FULL_CASH hold nothing
    assert (held < 1).float().mean().item() == pytest.approx(2 / 12, abs=0.03)
    assert len(state.draw.unique()) > 200
    assert int(state.bar.min()) >= 205
    assert int((state.last_bar - state.bar).unique()) == 16
