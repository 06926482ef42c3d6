"""PPO: what it stores, what it updates, what it skips, and that it learns."""

import copy
import itertools
from dataclasses import replace

import numpy as np
import pytest
import torch

from rl_core.backtest.engine import AccountConfig
from rl_core.envs.config import SpotEnvConfig
from rl_core.envs.spot import SpotMarket, SpotParams
from rl_core.errors import TollgateError
from rl_core.models.actor_critic import ActorCritic
from rl_core.models.config import ModelConfig
from rl_core.models.hybrid_action import HybridAction, action_log_prob
from rl_core.trading.costs import CostRates
from rl_core.training.config import PPOConfig
from rl_core.training.ppo import (
    ReturnTargets,
    gather_observations,
    make_optimisers,
    network_parts,
    prepare_batch,
    train_ppo,
    update_critic,
    update_policy,
)
from rl_core.training.ppo_figures import PPOIteration
from rl_core.training.rollout import TrainingMarket, allowed_starts, collect_rollout

CHEAP = CostRates(
    commission=0.0001, price_cost=0.0, max_impact=0.05, rebalance_band=0, borrow_per_bar=0
)
CONFIG = PPOConfig(
    num_envs=32, rollout_steps=16, num_minibatches=4, iterations=2, critic_warmup_iterations=1,
    evaluate_every=1,
)  # fmt: skip


def training_market(bars: int = 400, max_drawdown: float = 0.9) -> TrainingMarket:
    """A market whose first feature is the next bar's move, up or down by 1%."""
    generator = torch.Generator().manual_seed(3)
    up = torch.randint(2, (bars,), generator=generator) * 2.0 - 1
    close = 100 * torch.exp(0.01 * up.cumsum(0))
    features = torch.zeros(bars, 30)
    features[:-1, 0] = up[1:]
    market = SpotMarket(
        open=torch.cat([close[:1], close[:-1]]),
        close=close,
        impact_scale=torch.zeros(bars),
        days=torch.arange(bars) / 24,
        features=features,
    )
    params = SpotParams(CHEAP, AccountConfig(), SpotEnvConfig(max_drawdown=max_drawdown))
    return TrainingMarket(market, params, allowed_starts(torch.arange(bars - 1), 16))


def targets(bars: int = 400) -> ReturnTargets:
    generator = torch.Generator().manual_seed(4)
    return ReturnTargets(("1h", "24h"), torch.randn(bars, 2, generator=generator))


def new_model() -> ActorCritic:
    torch.manual_seed(0)
    return ActorCritic(34, 3, 2, ModelConfig(hidden_dim=32, head_dim=16))


def run(
    config: PPOConfig, model: ActorCritic, market: TrainingMarket | None = None
) -> tuple[int, list[PPOIteration]]:
    rising = itertools.count()
    return train_ppo(
        model,
        market or training_market(),
        targets(),
        config,
        lambda _: next(rising),
        lambda _: None,
    )


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_observations_are_gathered_again_exactly_as_they_were_seen() -> None:
    model, market = new_model().eval(), training_market()
    rollout = collect_rollout(model, market, 8, 16, generator())
    heads = model(gather_observations(market, rollout, torch.arange(16)))
    action = HybridAction(rollout.category.flatten(), rollout.strength_logit.flatten())
    again = action_log_prob(model, heads, action).log_prob
    torch.testing.assert_close(again, rollout.log_prob.flatten(), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(heads.value, rollout.value.flatten(), rtol=1e-5, atol=1e-5)


def test_windows_stay_inside_the_training_bars() -> None:
    market = training_market(bars=60)
    rollout = collect_rollout(new_model(), market, 200, 16, generator())
    assert rollout.bar.min() >= 0
    assert rollout.bar.max() + 1 <= 58  # the bar that the last step trades in is still training


def test_an_account_that_breaks_a_rule_starts_again_elsewhere() -> None:
    market = training_market(max_drawdown=0.015)
    rollout = collect_rollout(new_model(), market, 200, 16, generator())
    assert rollout.terminated.any()
    t, n = rollout.terminated[:-1].nonzero()[0].tolist()
    assert rollout.account[t + 1, n].tolist() == [0.0, 0.0, 1.0, 1.0]  # cash only, never traded


def test_a_span_shorter_than_a_window_is_an_error() -> None:
    with pytest.raises(
        TollgateError, match="must be shorter than the training span, was 16 for 10"
    ):
        allowed_starts(torch.arange(10), 16)


def test_the_first_ratio_is_one_so_the_first_kl_is_zero() -> None:
    model, market = new_model(), training_market()
    batch = prepare_batch(collect_rollout(model, market, 32, 16, generator()), CONFIG)
    once = CONFIG.model_copy(update={"epochs": 1, "num_minibatches": 1})
    figures = update_policy(
        model, market, targets(), batch, make_optimisers(model, once), once, generator()
    )
    assert figures[0]["approx_kl"].item() == pytest.approx(0.0, abs=1e-6)
    assert figures[0]["clip_fraction"].item() == 0.0


def test_the_critic_epochs_move_the_value_head_alone() -> None:
    model, market = new_model(), training_market()
    before = copy.deepcopy(model.state_dict())
    batch = prepare_batch(collect_rollout(model, market, 32, 16, generator()), CONFIG)
    losses = update_critic(
        model, market, batch, make_optimisers(model, CONFIG), CONFIG, generator()
    )
    moved = {
        name for name, tensor in model.state_dict().items() if not torch.equal(tensor, before[name])
    }
    assert moved
    assert all(name.startswith("value_head") for name in moved)
    assert len(losses) == 1 + CONFIG.critic_epochs * CONFIG.num_minibatches


def test_actor_and_critic_have_their_own_optimisers_and_rates() -> None:
    model = new_model()
    optimisers = make_optimisers(model, PPOConfig())
    assert optimisers.actor.param_groups[0]["lr"] == 3e-4
    assert optimisers.critic.param_groups[0]["lr"] == 9e-4
    critic = {id(p) for p in optimisers.critic.param_groups[0]["params"]}
    assert critic == {id(p) for p in model.value_head.parameters()}
    actor = {id(p) for p in optimisers.actor.param_groups[0]["params"]}
    assert actor | critic == {id(p) for p in model.parameters()}


def test_every_update_logs_both_return_losses_and_moves_their_heads() -> None:
    model = new_model()
    assert model.return_heads is not None
    before = model.return_heads.weight.detach().clone()
    _, history = run(CONFIG, model)
    assert not torch.equal(model.return_heads.weight, before)
    for figures in history:
        expected = {"1h", "24h"} if figures.iteration > 0 else set()
        assert set(figures.auxiliary_losses) == expected


def test_without_auxiliary_losses_the_return_heads_stay_as_they_were() -> None:
    model = new_model()
    assert model.return_heads is not None
    before = model.return_heads.weight.detach().clone()
    _, history = run(CONFIG.model_copy(update={"auxiliary_losses": False}), model)
    assert torch.equal(model.return_heads.weight, before)
    assert history[-1].auxiliary_losses == {}


def test_a_gradient_that_is_not_finite_changes_nothing_and_is_counted() -> None:
    model, market = new_model(), training_market()
    batch = prepare_batch(collect_rollout(model, market, 32, 16, generator()), CONFIG)
    poisoned = replace(batch, advantages=batch.advantages.clone())
    poisoned.advantages[3, 5] = torch.inf
    optimisers = make_optimisers(model, CONFIG)
    before = copy.deepcopy(model.state_dict())
    one_batch = CONFIG.model_copy(update={"epochs": 2, "num_minibatches": 1})
    update_policy(model, market, targets(), poisoned, optimisers, one_batch, generator())
    assert optimisers.guard.skipped == 2
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())
    assert not optimisers.actor.state
    ten = one_batch.model_copy(update={"epochs": 10})
    with pytest.raises(
        TollgateError, match="must be finite, was not in loss, encoder, policy_head"
    ):
        update_policy(model, market, targets(), poisoned, optimisers, ten, generator())


def test_every_parameter_is_clipped_and_checked_once() -> None:
    model = new_model()
    parts = [p for parameters, _ in network_parts(model, CONFIG).values() for p in parameters]
    assert len(parts) == len({id(p) for p in parts})
    assert {id(p) for p in parts} == {id(p) for p in model.parameters()}


def test_a_training_that_never_beats_its_clone_returns_the_clone() -> None:
    scores = iter([5.0, 1.0, None, float("nan")])
    model = new_model()
    before = copy.deepcopy(model.state_dict())
    config = CONFIG.model_copy(update={"iterations": 3})
    best, _ = train_ppo(
        model, training_market(), targets(), config, lambda _: next(scores), lambda _: None
    )
    assert best == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_the_weights_kept_are_those_of_the_best_validated_iteration() -> None:
    scores = iter([0.0, 3.0, 1.0, 2.0])
    seen: list[torch.Tensor] = []

    def validate(model: ActorCritic) -> float:
        seen.append(next(model.value_head.parameters()).detach().clone())
        return next(scores)

    model = new_model()
    config = CONFIG.model_copy(update={"iterations": 3})
    best, _ = train_ppo(model, training_market(), targets(), config, validate, lambda _: None)
    assert best == 1
    assert torch.equal(next(model.value_head.parameters()), seen[1])


def test_a_seed_gives_one_policy() -> None:
    first, second = new_model(), new_model()
    run(CONFIG, first)
    run(CONFIG, second)
    for a, b in zip(first.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_ppo_learns_to_trade_what_it_can_see() -> None:
    config = PPOConfig(
        num_envs=128, rollout_steps=16, num_minibatches=4, iterations=25, evaluate_every=100,
        actor_learning_rate=3e-3, critic_learning_rate=9e-3, discount=0.9,
    )  # fmt: skip
    _, history = run(config, new_model())
    # half of the bars rise by 1%: who sees them earns up to 8% a window of 16, chance earns 0;
    # exploration, which draws strengths below 1, takes its share
    earned = np.mean([figures.mean_return for figures in history[-3:]])
    assert earned > 4.0
    assert history[0].mean_return < 1.0


def test_rollout_steps_must_split_into_minibatches() -> None:
    with pytest.raises(ValueError, match="must be a multiple of num_minibatches, was 10 and 4"):
        PPOConfig(rollout_steps=10, num_minibatches=4)
