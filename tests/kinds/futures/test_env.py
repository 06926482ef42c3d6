"""The futures environment: the backtest's own accounts, N of them equal to N times one."""

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_core.kinds.futures.engine import walk_future
from rl_core.kinds.futures.env import REWARD_TERMS, FuturesEpisodes, FuturesState
from rl_core.kinds.futures.settings import FuturesEnvConfig, FuturesTrading
from rl_core.kinds.futures.state import FUTURES_STATE
from rl_core.trading.accounts import BUY, HOLD, SELL
from rl_core.trading.brackets import RULES, Account
from tests.futures_market import episodes, future_bars, prepared

TRADING = FuturesTrading.model_validate({"account": {"max_contracts": 3}})


def random_orders(steps: int, accounts: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """An order in one bar of ten."""
    generator = torch.Generator().manual_seed(seed)
    is_order = torch.rand(steps, accounts, generator=generator) < 0.1
    category = torch.where(is_order, torch.randint(3, (steps, accounts), generator=generator), HOLD)
    return category, torch.rand(steps, accounts, generator=generator, dtype=torch.float64)


def walked(
    env: FuturesEpisodes, first: int, category: torch.Tensor, strength: torch.Tensor
) -> list[FuturesState]:
    """States at every close."""
    bar = torch.full((category.shape[1],), first)
    states = [env.open_accounts(bar, bar + len(category))]
    for actions, sizes in zip(category, strength, strict=True):
        states.append(env.step(states[-1], actions, sizes).state)
    return states


@pytest.mark.parametrize("seed", [0, 1])
def test_backtest_and_environment_agree_to_the_bit_over_sessions_and_a_roll(seed: int) -> None:
    market = prepared(future_bars(sessions=6))
    assert market.clock is not None
    assert market.bars["contract"].nunique() == 2
    steps = len(market.bars) - 101
    category, strength = random_orders(steps, 1, seed)
    states = walked(episodes(market, TRADING), 100, category, strength)
    span = slice(100, None)
    walk = walk_future(
        market.bars[span], market.atr_points[span], market.clock.starts[span],
        market.clock.ends[span], np.append(category[:, 0].numpy(), 0).astype(np.int8),
        np.append(strength[:, 0].numpy(), 0.0), TRADING.terms, TRADING.rulebook,
    )  # fmt: skip
    assert np.isfinite(walk["trade_pnl"]).sum() > 50
    assert sum(np.nansum(walk[f"broke_{rule}"]) for rule in RULES) > 0
    for name in Account._fields:
        environment = torch.cat([getattr(state.account, name) for state in states]).numpy()
        np.testing.assert_array_equal(walk[name], environment, err_msg=name)


def test_many_accounts_equal_as_many_single_ones() -> None:
    env = episodes(prepared(future_bars()), TRADING)
    category, strength = random_orders(400, 8, seed=2)
    many = walked(env, 900, category, strength)[-1]
    for n in (0, 3, 7):
        alone = walked(env, 900, category[:, n : n + 1], strength[:, n : n + 1])[-1]
        for together, single in zip(many.account, alone.account, strict=True):
            assert torch.equal(together[n : n + 1], single)


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), cut=st.integers(2800, 3500), factor=st.floats(0.5, 2.0))
def test_bars_after_the_fill_change_neither_observation_nor_reward(
    seed: int, cut: int, factor: float
) -> None:
    """Thresholds are fitted on the first half; prices change after the cut."""
    bars = future_bars()
    other = bars.copy()
    prices = ["open", "high", "low", "close"]
    other.loc[cut + 1 :, prices] = (other.loc[cut + 1 :, prices] * factor * 4).round() / 4
    category, strength = random_orders(60, 4, seed)
    seen: list[list[torch.Tensor]] = []
    for each in (bars, other):
        env = episodes(prepared(each), TRADING)
        states = walked(env, cut - 60, category, strength)
        observed = [env.observe(state) for state in states]
        rewards = [
            env.step(state, actions, sizes).reward
            for state, actions, sizes in zip(states, category, strength, strict=False)
        ]
        rows = [env.features[o.bar] for o in observed]
        seen.append([*rows, *(o.account_features for o in observed), *rewards])
    assert all(torch.equal(now, then) for now, then in zip(*seen, strict=True))


def test_training_accounts_in_float32_stay_within_a_cent() -> None:
    market = prepared(future_bars())
    category, strength = random_orders(1380, 16, seed=5)
    exact = walked(episodes(market, TRADING), 1000, category, strength)[-1]
    rough = walked(episodes(market, TRADING, dtype=torch.float32), 1000, category, strength)[-1]
    assert (exact.account.equity - rough.account.equity.double()).abs().max() < 0.01


def test_an_observation_is_the_market_and_then_the_account() -> None:
    env = episodes(prepared(future_bars()))
    seen = env.observe(walked(env, 900, *random_orders(50, 3, seed=1))[-1])
    assert env.features.shape[1] == len(FUTURES_STATE.market) == 37
    assert seen.account_features.shape == (3, len(FUTURES_STATE.account)) == (3, 8)
    assert torch.isfinite(seen.account_features).all()


def test_features_and_account_stay_within_their_stated_ranges() -> None:
    market = prepared(future_bars(sessions=6))
    env = episodes(market, TRADING)
    category, strength = random_orders(2000, 16, seed=3)
    states = walked(env, 200, category, strength)
    account_features = torch.stack(
        [env.observe(state).account_features for state in states]
    ).flatten(0, 1)
    shared = torch.from_numpy(market.features[market.first_bar :])
    for columns, table in (
        (shared, FUTURES_STATE.market),
        (account_features, FUTURES_STATE.account),
    ):
        for column, feature in zip(columns.T, table, strict=True):
            assert feature.low <= column.min(), feature.name
            assert column.max() <= feature.high, feature.name


def one(env: FuturesEpisodes, bar: int) -> FuturesState:
    return env.open_accounts(torch.tensor([bar]), torch.tensor([bar + 1000]))


def terms(env: FuturesEpisodes, state: FuturesState, action: int) -> dict[str, float]:
    result = env.step(state, torch.tensor([action]), torch.ones(1, dtype=torch.float64))
    named = zip(REWARD_TERMS, (float(term) for term in result.reward_terms), strict=True)
    return dict(named) | {"sum": float(result.reward)}


def test_each_term_of_the_reward_by_hand() -> None:
    env = episodes(prepared(future_bars()))
    start = env.at_progress(0.0)
    idle = terms(start, one(start, 900), HOLD)
    assert idle == pytest.approx(
        {
            "profit": 0,
            "target_bonus": 0,
            "idle_penalty": -0.005,
            "exploration_bonus": 0,
            "sum": -0.005,
        }
    )
    buys = terms(start, one(start, 900), BUY)
    row = env.market.bars[901]
    paid = 0.25 * 20 + 1.00 / 2  # a tick, and half of the first commission
    marked = (20 * float(row[3] - row[0]) - paid) / 50
    assert buys == pytest.approx(
        {"profit": marked, "target_bonus": 0, "idle_penalty": 0, "exploration_bonus": 0.2,
         "sum": marked + 0.2}
    )  # fmt: skip
    over = env.at_progress(1.0)
    last = terms(over, one(over, 900), BUY)
    assert last["exploration_bonus"] == 0
    assert last["profit"] == pytest.approx(marked - 0.75 / 50)


def test_a_target_earns_its_bonus() -> None:
    env = episodes(prepared(future_bars()))
    row = env.market.bars[1000]
    account = one(env, 999).account
    held = account._replace(
        side=account.side + 1, contracts=account.side + 1, entry_price=row[None, 0] - 50,
        stop_price=row[None, 0] - 500, target_price=row[None, 0] - 1, held_bars=account.side + 5,
    )  # fmt: skip
    state = FuturesState(torch.tensor([999]), torch.tensor([2000]), held)
    assert terms(env, state, HOLD)["target_bonus"] == 1.0


def test_a_broken_rule_terminates_once_and_is_named() -> None:
    rules = FuturesTrading.model_validate({"account": {"max_contracts": 9}})
    env = episodes(prepared(future_bars()), rules)
    result = env.step(one(env, 900), torch.tensor([BUY]), torch.ones(1, dtype=torch.float64))
    assert result.terminated.item()
    assert not result.truncated.item()
    named = {rule: bool(broken) for rule, broken in zip(RULES, result.broken, strict=True)}
    assert named == {
        "trailing_drawdown": False, "daily_loss": False, "contract_limit": True,
        "flat_by_close": False,
    }  # fmt: skip
    barred = env.step(result.state, torch.tensor([SELL]), torch.ones(1, dtype=torch.float64))
    assert not barred.terminated.item()


def test_an_episode_outlasts_rollouts_and_ends_between_them() -> None:
    config = FuturesEnvConfig(episode_bars=100)
    env = episodes(prepared(future_bars()), config=config, dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    state, begins = env.reset(None, 64, 16, generator)
    assert begins.all()
    length = state.last_bar - state.bar
    assert length.min() >= 50
    assert length.max() <= 150
    seen: list[torch.Tensor] = []
    hold, strength = torch.zeros(64, dtype=torch.int64), torch.zeros(64)
    for _ in range(6):
        for _ in range(16):
            result = env.step(state, hold, strength)
            assert not result.terminated.any()
            state = result.state
        before = state
        state, begins = env.reset(before, 64, 16, generator)
        assert torch.equal(begins, before.bar + 16 > before.last_bar)
        assert torch.equal(state.bar[~begins], before.bar[~begins])
        seen.append(begins)
    assert 0 < torch.stack(seen).sum() < 6 * 64


def test_with_a_data_filter_accounts_return_to_the_kept_bars() -> None:
    env = episodes(prepared(future_bars()), dtype=torch.float32)
    is_kept = env.is_kept.clone()
    is_kept[1000:1500] = False
    filtered = episodes(
        prepared(future_bars()), dtype=torch.float32, is_kept=is_kept,
        starts=env.starts[is_kept[env.starts]],
    )  # fmt: skip
    state = filtered.open_accounts(torch.tensor([900, 1200]), torch.tensor([2000, 2000]))
    after, begins = filtered.reset(state, 2, 16, torch.Generator().manual_seed(0))
    assert begins.tolist() == [False, True]
    assert is_kept[after.bar].all()


def test_a_new_account_in_a_rollout_has_room_for_its_rest() -> None:
    env = episodes(prepared(future_bars()), dtype=torch.float32)
    generator = torch.Generator().manual_seed(0)
    for steps_left in (0, 5, 64):
        state = env.reset_state(2000, steps_left, generator)
        assert (state.last_bar >= state.bar + steps_left).all()
        assert state.last_bar.max() <= len(env.market.bars) - 2


def test_an_end_that_is_missing_later_is_not_known_before() -> None:
    """Half an hour of a session is missing: until then nothing may differ from the whole."""
    bars = future_bars()
    hole = slice(2 * 1380 - 30, 2 * 1380)
    with_hole = bars.drop(index=range(hole.start, hole.stop)).reset_index(drop=True)
    category, strength = random_orders(1400, 8, seed=6)
    category[-40:] = BUY
    until = hole.start - 1 - 1380
    whole, holed = (
        walked(episodes(prepared(each), TRADING), 1380, category[:until], strength[:until])
        for each in (bars, with_hole)
    )
    for before, after in zip(whole, holed, strict=True):
        assert all(torch.equal(a, b) for a, b in zip(before.account, after.account, strict=True))


CHURNING = {"stop": 1.0, "target": 1.0, "max_holding_bars": 10}


def test_on_a_random_walk_one_who_always_trades_does_worse_than_one_who_never_does() -> None:
    """At full costs, over forty accounts and two sessions each; the bonus could not save it."""
    trading = FuturesTrading.model_validate({"brackets": CHURNING})
    env = episodes(prepared(future_bars(sessions=20, seed=8)), trading)
    first = torch.arange(200, 200 + 40 * 600, 600)
    state = env.open_accounts(first, first + 2000)
    idle, generator = state, torch.Generator().manual_seed(0)
    full = torch.ones(40, dtype=torch.float64)
    trades = 0
    for _ in range(2000):
        side = torch.randint(1, 3, (40,), generator=generator)
        result = env.step(state, side, full)
        state, trades = result.state, trades + int(result.ledger.closed.sum())
        idle = env.step(idle, torch.zeros_like(side), full).state
    assert trades > 1000
    assert torch.equal(idle.account.equity, torch.full((40,), 50_000.0, dtype=torch.float64))
    loss = 50_000.0 - state.account.equity
    assert loss.mean() > 4 * loss.std() / 40**0.5
    assert loss.mean() / (trades / 40) == pytest.approx(12.5, rel=0.5)  # two ticks and 2.50


def test_features_of_a_session_know_nothing_later_than_its_bar() -> None:
    bars = future_bars()
    whole = prepared(bars)
    for end in (1400, 1700, 2764, 4000):
        part = prepared(bars[:end].reset_index(drop=True))
        np.testing.assert_array_equal(whole.features[: end - 1, 30:], part.features[: end - 1, 30:])
        np.testing.assert_array_equal(whole.features[end - 1, 30:], part.features[end - 1, 30:])


def test_session_features_by_hand() -> None:
    bars = future_bars()
    market = prepared(bars)
    named = dict(zip(FUTURES_STATE.market_names, market.features[1380 + 99], strict=True))
    session = bars[1380:1480]
    assert named["session_progress"] == pytest.approx(100 / 1380)
    assert named["time_to_close"] == pytest.approx(np.tanh(1280 / 60))
    assert named["regular_hours"] == 0
    typical = (session["high"] + session["low"] + session["close"]) / 3
    vwap = (typical * session["volume"]).sum() / session["volume"].sum()
    atr = market.atr_points[1479]
    assert named["vwap_distance"] == pytest.approx(
        (session["close"].iloc[-1] - vwap) / atr, rel=1e-4
    )
    span = session["high"].max() - session["low"].min()
    place = (session["close"].iloc[-1] - session["low"].min()) / span
    assert named["range_position"] == pytest.approx(place, rel=1e-5)
    gap = np.log(bars["open"][1380] / bars["close"][1379])
    sd = pd.Series(np.log(bars["close"])).diff()[1379 - 23 : 1380].std(ddof=0)
    assert named["overnight_gap"] == pytest.approx(gap / (sd * np.sqrt(60)), rel=1e-4)
