"""The spot environment: honest accounts, the backtest's own, N of them equal to N times one."""

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rl_core.features.prepare import PreparedMarket
from rl_core.kinds.spot.engine import walk_bars
from rl_core.kinds.spot.env import SpotMarket, SpotParams, SpotState, observe, open_accounts, step
from rl_core.kinds.spot.settings import AccountConfig, CostConfig
from rl_core.kinds.spot.state import SPOT_STATE
from rl_core.lab.markets.spot import simulate_bars
from rl_core.learning.settings import WindowConfig
from rl_core.trading.accounts import BUY, HOLD, SELL
from rl_core.trading.terms import CostRates
from tests.conftest import HOUR_NS

Prepare = Callable[[pd.DataFrame], PreparedMarket]
FREE = CostRates(commission=0, price_cost=0, max_impact=0.05, rebalance_band=0, borrow_per_bar=0)
RULES = WindowConfig(max_drawdown=0.2, reward_scale=1.0)
FREE_PARAMS = SpotParams(FREE, AccountConfig(initial_cash=100.0), RULES)
CPU = torch.device("cpu")


def market(opens: list[float], closes: list[float]) -> SpotMarket:
    return SpotMarket(
        open=torch.tensor(opens),
        close=torch.tensor(closes),
        impact_scale=torch.zeros(len(opens)),
        half_spread=torch.zeros(len(opens)),
        days=torch.arange(len(opens)) / 24,
        features=torch.zeros(len(opens), 30),
    )


def account(of: SpotMarket, last_bar: int = 9, params: SpotParams = FREE_PARAMS) -> SpotState:
    return open_accounts(params, of, torch.tensor([0]), torch.tensor([last_bar]))


def one(category: int, strength: float = 1.0) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.tensor([category]), torch.tensor([strength])


def test_a_buy_fills_at_the_next_open_and_is_marked_at_the_next_close() -> None:
    rising = market([10.0, 20.0], [10.0, 25.0])
    result = step(rising, FREE_PARAMS, account(rising), *one(BUY))
    assert result.state.units.item() == pytest.approx(5.0)
    assert result.state.equity.item() == pytest.approx(125.0)
    assert result.reward.item() == pytest.approx(np.log(1.25))


@pytest.mark.parametrize(
    ("close", "last_bar", "terminated", "truncated"),
    [(10.0, 9, False, False), (10.0, 1, False, True), (5.0, 9, True, False), (5.0, 1, True, False)],
)
def test_a_drawdown_breach_terminates_and_the_last_bar_truncates(
    close: float, last_bar: int, terminated: bool, truncated: bool
) -> None:
    falling = market([10.0, 10.0], [10.0, close])
    result = step(falling, FREE_PARAMS, account(falling, last_bar), *one(BUY))
    assert (result.terminated.item(), result.truncated.item()) == (terminated, truncated)


def test_the_observation_ends_with_the_account(prepare: Prepare) -> None:
    rising = market([10.0, 20.0, 25.0], [10.0, 20.0, 40.0])
    state = step(rising, FREE_PARAMS, account(rising), *one(BUY, 0.5)).state
    seen = observe(rising, state)
    assert seen.shape == (1, len(SPOT_STATE.names))
    shown = dict(zip(SPOT_STATE.account_names, seen[0, 30:].tolist(), strict=True))
    assert shown == {
        "position": 0.5,
        "leverage": 0.5,
        "cash_fraction": 0.5,
        "time_since_trade": 0.0,
    }
    later = observe(rising, step(rising, FREE_PARAMS, state, *one(HOLD)).state)[0, 30:].tolist()
    # 2.5 units at 40 and 50 in cash: two thirds invested, an hour after the trade
    assert later == pytest.approx([2 / 3, 2 / 3, 1 / 3, np.tanh(1 / 24)])


def test_a_lost_account_gives_a_finite_reward_and_ends() -> None:
    params = SpotParams(FREE, AccountConfig(initial_cash=100.0, min_position=-1.0), RULES)
    soaring = market([10.0, 10.0], [10.0, 30.0])
    result = step(soaring, params, account(soaring, params=params), *one(SELL))
    assert result.state.equity.item() == pytest.approx(-100.0)
    assert result.terminated.item()
    assert torch.isfinite(result.reward).all()


def random_walk(
    of: SpotMarket, params: SpotParams, num_envs: int, steps: int, seed: int
) -> tuple[list[SpotState], torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    category = torch.randint(3, (steps, num_envs), generator=generator)
    strength = torch.rand(steps, num_envs, generator=generator, dtype=of.close.dtype)
    start = torch.full((num_envs,), 60)
    states = [open_accounts(params, of, start, start + steps)]
    for t in range(steps):
        states.append(step(of, params, states[-1], category[t], strength[t]).state)
    return states, category, strength


@pytest.mark.parametrize("min_position", [0.0, -1.0])
@pytest.mark.parametrize("is_quoted", [False, True])
def test_backtest_and_environment_agree_on_cash_position_and_equity(
    prepare: Prepare, min_position: float, is_quoted: bool
) -> None:
    bars = simulate_bars(600, seed=3)
    if is_quoted:
        bars["half_spread"] = np.random.default_rng(1).uniform(0, 0.01, len(bars))
    prepared = prepare(bars)
    rates = CostConfig().rates(HOUR_NS)
    params = SpotParams(rates, AccountConfig(min_position=min_position), RULES)
    exact = SpotMarket.from_prepared(prepared, CPU, torch.float64)
    states, category, strength = random_walk(exact, params, 1, 500, seed=0)
    action = np.append(category[:, 0].numpy().astype(np.int8), np.int8(HOLD))
    walk = walk_bars(
        prepared.bars.iloc[60:561],
        action,
        np.append(strength[:, 0].numpy(), 0.0),
        prepared.impact_scale[60:561],
        rates,
        params.account,
    )
    assert np.abs(walk.traded_units[:-1]).sum() > 0
    for name in ("cash", "units", "equity"):
        environment = np.array([getattr(state, name).item() for state in states])
        np.testing.assert_allclose(getattr(walk, name), environment, rtol=1e-9, atol=1e-9)


def test_many_environments_equal_as_many_single_ones(prepare: Prepare) -> None:
    of = SpotMarket.from_prepared(prepare(simulate_bars(300, seed=4)), CPU)
    params = SpotParams(CostConfig().rates(HOUR_NS), AccountConfig(), RULES)
    many, category, strength = random_walk(of, params, 16, 100, seed=1)
    for i in (0, 7, 15):
        single = open_accounts(params, of, torch.tensor([60]), torch.tensor([160]))
        for t in range(100):
            single = step(of, params, single, category[t, i : i + 1], strength[t, i : i + 1]).state
        for together, alone in zip(many[-1], single, strict=True):
            assert torch.equal(together[i : i + 1], alone)


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), steps=st.integers(1, 60), factor=st.floats(0.3, 3.0))
def test_bars_after_the_fill_change_neither_observation_nor_reward(
    prepare: Prepare, seed: int, steps: int, factor: float
) -> None:
    bars = simulate_bars(300, seed=seed)  # thresholds are fitted on the first 150
    bars_later = bars.copy()
    bars_later.loc[bars.index > 160 + steps, ["open", "high", "low", "close"]] *= factor
    params = SpotParams(CostConfig().rates(HOUR_NS), AccountConfig(), RULES)
    results: list[torch.Tensor] = []
    for each in (bars, bars_later):
        of = SpotMarket.from_prepared(prepare(each), CPU)
        state = open_accounts(params, of, torch.tensor([160]), torch.tensor([250]))
        generator = torch.Generator().manual_seed(seed)
        for _ in range(steps):
            category = torch.randint(3, (1,), generator=generator)
            result = step(of, params, state, category, torch.rand(1, generator=generator))
            state = result.state
            results += [observe(of, state), result.reward]
    half = len(results) // 2
    assert all(torch.equal(a, b) for a, b in zip(results[:half], results[half:], strict=True))


def test_a_long_account_without_leverage_never_owes_cash(prepare: Prepare) -> None:
    of = SpotMarket.from_prepared(prepare(simulate_bars(300, seed=6)), CPU)
    params = SpotParams(CostConfig().rates(HOUR_NS), AccountConfig(), RULES)
    states, _, _ = random_walk(of, params, 64, 200, seed=2)
    assert min(state.cash.min().item() for state in states) >= -0.01  # of 10,000, in float32
