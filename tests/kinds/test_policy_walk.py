"""Decisions by fixed point are those of stepping, on each kind of desk, with and without memory."""

from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_core.base.errors import TollgateError
from rl_core.features.prepare import PreparedMarket
from rl_core.kinds.base import DeskKind
from rl_core.kinds.futures.settings import FuturesDesk
from rl_core.kinds.registry import kind_of
from rl_core.lab.markets.spot import simulate_bars
from rl_core.learning import policy_walk
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.policy_walk import Guess, Trading, Window, decide, step_through
from rl_core.learning.settings import ModelConfig
from tests.conftest import small_desk
from tests.futures_market import future_bars
from tests.futures_market import prepared as prepared_future
from tests.panels import panel_of, portfolio_desk, random_closes, with_comings_and_goings
from tests.panels import prepared as prepared_panel

CPU = torch.device("cpu")
KINDS = ("spot", "spot with shorts", "futures", "portfolio")
MEMORY_BARS = 16


@lru_cache(maxsize=4)
def market_of(name: str) -> tuple[DeskKind, PreparedMarket]:
    if name == "portfolio":
        desk = portfolio_desk(Path("none.parquet"))
        panel = panel_of(with_comings_and_goings(random_closes(420, 9)))
        return kind_of(desk), prepared_panel(panel)
    if name == "futures":
        bars = {
            "symbol": "SIM-NQ", "interval": "1min", "simulated": {"sessions": 4}, "sessions": {},
        }  # fmt: skip
        return kind_of(FuturesDesk.model_validate({"name": "f", "bars": bars})), prepared_future(
            future_bars(sessions=2)
        )
    account = {"min_position": -1.0} if "shorts" in name else {}
    kind = kind_of(small_desk(Path("none.parquet"), account=account))
    return kind, kind.prepare(simulate_bars(500, seed=3), None, None)


@lru_cache(maxsize=4)
def states_of(name: str) -> torch.Tensor:
    """What an account that trades at random sees."""
    kind, market = market_of(name)
    rng, bars = np.random.default_rng(1), len(market.bars) - market.first_bar
    action = rng.integers(0, len(kind.actions), bars).astype(np.int8)
    action[rng.random(bars) < 0.8] = 0
    seen = kind.walk(market, market.first_bar, action, rng.random(bars)).account_features
    return torch.from_numpy(np.column_stack([market.features[market.first_bar :], seen]))


def policy(name: str, seed: int, *, gru_layers: int = 0) -> ActorCritic:
    """An untrained policy that listens to its account, and trades now and then."""
    torch.manual_seed(seed)
    kind, _ = market_of(name)
    size = len(kind.state.names)
    model = ActorCritic(
        size,
        len(kind.actions),
        2,
        ModelConfig(hidden_dim=16, head_dim=8, gru_layers=gru_layers),
        has_strength=kind.has_strength,
    )
    model.standardiser.fit(states_of(name))
    with torch.no_grad():
        model.policy_head[-1].weight *= 6  # type: ignore[operator]
    return model.eval()


@dataclass(frozen=True)
class Case:
    trading: Trading
    model: ActorCritic
    span: tuple[int, int]


def case(name: str, seed: int = 0, *, gru_layers: int = 0, bars: int = 200) -> Case:
    kind, market = market_of(name)
    trading = kind.trading(market, CPU, MEMORY_BARS if gru_layers else None)
    first = market.first_bar + 3
    span = (first, min(first + bars, len(market.bars)) - 1)
    return Case(trading, policy(name, seed, gru_layers=gru_layers), span)


def require_equal(case: Case) -> None:
    settled = decide(case.model, case.trading, case.span)
    stepped, _ = step_through(case.model, case.trading, case.span)
    np.testing.assert_array_equal(settled.action, stepped.action)
    np.testing.assert_allclose(settled.strength, stepped.strength, atol=2e-4)
    np.testing.assert_allclose(settled.predicted_returns, stepped.predicted_returns, atol=1e-4)
    assert (settled.memory is None) == (stepped.memory is None)
    if settled.memory is not None and stepped.memory is not None:
        torch.testing.assert_close(settled.memory, stepped.memory, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("gru_layers", [0, 2])
@pytest.mark.parametrize("name", KINDS)
def test_decisions_are_those_of_stepping(name: str, gru_layers: int) -> None:
    for seed in range(3):
        require_equal(case(name, seed, gru_layers=gru_layers))


def test_the_policies_of_these_tests_look_at_their_account_and_trade() -> None:
    """Otherwise one round would do, and nothing would be shown."""
    for name in KINDS:
        one = case(name)
        stepped, _ = step_through(one.model, one.trading, one.span)
        assert len(np.unique(stepped.action)) > 1
        guess = Guess.of(one.model, one.trading, one.span)
        account = one.trading.accounts(one.span[0], guess.action, guess.strength, None)
        with torch.no_grad():
            guess.decide_again(account.account_features)
        assert (guess.action != stepped.action).any()


@given(st.integers(0, 2**31), st.integers(1, 90), st.integers(1, 40), st.integers(0, 1))
@settings(max_examples=25)
def test_whatever_the_window(seed: int, bars: int, width: int, gru_layers: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("LEAST_WIDTH", "MOST_WIDTH"):
            patch.setattr(policy_walk, name, width)
        patch.setattr(policy_walk, "MOST_ROWS", 1 + seed % 50)
        patch.setattr(policy_walk, "Window", partial(Window, width))
        require_equal(case("spot with shorts", seed % 50, gru_layers=gru_layers, bars=bars))


def test_a_position_is_closed_with_its_session_while_decisions_are_guessed() -> None:
    require_equal(case("futures", 1, bars=1600))


@pytest.mark.parametrize("gru_layers", [0, 1])
def test_a_tie_is_settled_as_a_served_model_settles_it(gru_layers: int) -> None:
    """Two actions whose logits are a rounding error apart: a batch would decide by its order."""
    for seed in range(4):
        tied = case("spot", seed, gru_layers=gru_layers, bars=60)
        last: Any = tied.model.policy_head[-1]
        with torch.no_grad():
            last.weight[1] = last.weight[2] * (1 + 1e-7)
            last.bias[1] = last.bias[2] + 1e-7
            last.bias[0] -= 5  # never HOLD
        require_equal(tied)


def test_an_account_can_be_gone_on_from_at_any_bar() -> None:
    rng = np.random.default_rng(5)
    for name in KINDS:
        kind, market = market_of(name)
        first, bars = market.first_bar, 120
        action = rng.integers(0, len(kind.actions), bars).astype(np.int8)
        action[rng.random(bars) < 0.7] = 0
        strength = rng.random(bars)
        whole = kind.walk(market, first, action, strength)
        for row in (0, 1, 37, bars - 2):
            rest = kind.walk(market, first + row, action[row:], strength[row:], whole.at(row))
            np.testing.assert_allclose(rest.equity, whole.equity[row:], rtol=1e-12)
            np.testing.assert_allclose(
                rest.account_features, whole.account_features[row:], rtol=1e-6, atol=1e-7
            )


def test_what_comes_later_changes_no_decision() -> None:
    long, short = case("spot", 2, bars=200), case("spot", 2, bars=90)
    whole = decide(long.model, long.trading, long.span)
    part = decide(short.model, short.trading, short.span)
    np.testing.assert_array_equal(whole.action[:90], part.action)


def test_a_window_widens_while_that_settles_more_and_narrows_where_it_settles_no_more() -> None:
    parallel, chained = Window(), Window()
    for _ in range(400):
        parallel.adapt(parallel.width // 16)
        chained.adapt(5)
    assert parallel.width == policy_walk.MOST_WIDTH
    assert chained.width == policy_walk.LEAST_WIDTH


def test_states_beyond_the_span_are_never_seen() -> None:
    one = case("spot", 1, bars=80)
    features = one.trading.environment.features.clone()
    features[one.span[1] + 1 :] = torch.nan
    market: Any = one.trading.environment
    blind = replace(
        one.trading,
        environment=replace(market, market=replace(market.market, features=features)),
    )
    np.testing.assert_array_equal(
        decide(one.model, blind, one.span).action, decide(one.model, one.trading, one.span).action
    )


def test_a_state_that_is_not_finite_ends_with_its_bar() -> None:
    """And does not go round for ever."""
    one = case("spot", 1, bars=80)
    features = one.trading.environment.features.clone()
    bad = one.span[0] + 40
    features[bad] = torch.nan
    market: Any = one.trading.environment
    sick = replace(
        one.trading,
        environment=replace(market, market=replace(market.market, features=features)),
    )
    with pytest.raises(TollgateError, match=f"must be finite, were not from bar {bad + 1} on"):
        decide(one.model, sick, one.span)
