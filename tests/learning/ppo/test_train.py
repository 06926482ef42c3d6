"""PPO: what it updates, when it stops, what it keeps, and that it learns."""

import copy

import numpy as np
import pytest
import torch

from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.ppo.figures import UpdateLog
from rl_core.learning.ppo.history import Validation
from rl_core.learning.ppo.learner import network_parts, new_learner
from rl_core.learning.ppo.train import (
    train_ppo,
    update_critic,
    update_policy,
    update_return_heads,
)
from rl_core.learning.ppo.update import ReturnTargets
from rl_core.learning.settings import PPOConfig
from tests.learning.problems import (
    CONFIG,
    RECURRENT,
    SMALL,
    Silent,
    moved,
    new_model,
    one_rollout,
    problem,
    train,
    weights,
)


def test_the_first_ratio_is_one_so_the_first_kl_is_zero() -> None:
    once = CONFIG.model_copy(update={"epochs": 1, "num_minibatches": 1})
    for shape in (SMALL, RECURRENT):
        training, batch = one_rollout(once, new_model(shape))
        log = UpdateLog.empty()
        update_policy(training, batch, 1, log)
        assert log.losses[0].approx_kl.item() == pytest.approx(0.0, abs=1e-6)
        assert log.losses[0].clip_fraction.item() == 0.0


def test_critic_epochs_move_the_value_head_alone() -> None:
    training, batch = one_rollout()
    before, log = weights(training.learner.model), UpdateLog.empty()
    update_critic(training, batch, log)
    changed = moved(training.learner.model, before)
    assert changed
    assert all(name.startswith("value_head") for name in changed)
    assert len(log.value_losses) == CONFIG.critic_epochs * CONFIG.num_minibatches
    assert log.value_losses[-1] < log.value_losses[0]


def test_actor_and_critic_have_their_own_optimisers_and_rates() -> None:
    model = new_model()
    optimisers = new_learner(model, PPOConfig(), {}).optimisers
    assert optimisers["actor"].param_groups[0]["lr"] == 3e-4
    assert optimisers["critic"].param_groups[0]["lr"] == 9e-4
    critic = {id(p) for p in optimisers["critic"].param_groups[0]["params"]}
    assert critic == {id(p) for p in model.value_head.parameters()}
    actor = {id(p) for p in optimisers["actor"].param_groups[0]["params"]}
    assert actor | critic == {id(p) for p in model.parameters()}


def test_lr_annealing_goes_from_the_initial_to_the_final_rate() -> None:
    config = CONFIG.model_copy(update={"iterations": 5, "lr_annealing": True})
    _, watcher = train(config)
    rates = [figures.learning_rate for figures in watcher.figures]
    # the warm-up, then a straight line of five iterations from 3e-4 to 1e-4
    assert rates == pytest.approx([3e-4, 3e-4, 2.5e-4, 2e-4, 1.5e-4, 1e-4])


def test_target_kl_stops_the_epochs_of_an_update() -> None:
    wild = CONFIG.model_copy(update={"actor_learning_rate": 0.05, "target_kl": 1e-3})
    _, watcher = train(wild)
    assert watcher.figures[-1].epochs == 1
    _, watcher = train(wild.model_copy(update={"target_kl": None}))
    assert watcher.figures[-1].epochs == CONFIG.epochs


def test_the_kl_to_the_clone_keeps_the_policy_near_it_and_anneals_to_zero() -> None:
    config = CONFIG.model_copy(update={"iterations": 4, "clone_kl_coefficient": 3.0})
    assert [config.clone_kl_weight(i) for i in (1, 2, 3, 4)] == pytest.approx([3, 2, 1, 0])

    def distance(coefficient: float) -> float:
        tied = config.model_copy(
            update={
                "epochs": 20, "actor_learning_rate": 1e-3, "clone_kl_coefficient": coefficient
            }
        )  # fmt: skip
        model = new_model()
        training, batch = one_rollout(tied, model, problem(clone=copy.deepcopy(model)))
        log = UpdateLog.empty()
        update_policy(training, batch, 1, log)
        return float(torch.stack([losses.clone_kl for losses in log.losses[-4:]]).mean())

    assert distance(3.0) < 0.5 * distance(1e-6)


def test_the_clone_of_a_recurrent_policy_is_walked_with_its_own_memory() -> None:
    config = CONFIG.model_copy(update={"clone_kl_coefficient": 1.0, "epochs": 1})
    model = new_model(RECURRENT)
    training, batch = one_rollout(config, model, problem(clone=copy.deepcopy(model)))
    log = UpdateLog.empty()
    update_policy(training, batch, 1, log)
    assert log.losses[0].clone_kl.item() == pytest.approx(0.0, abs=1e-6)  # still the clone
    assert log.losses[-1].clone_kl.item() > 0


def test_every_update_logs_both_return_losses_and_moves_their_heads() -> None:
    model = new_model()
    before = weights(model)
    _, watcher = train(CONFIG, model)
    assert {"return_heads.weight", "return_heads.bias"} <= moved(model, before)
    for figures in watcher.figures:
        expected = {"1h", "24h"} if figures.iteration > 0 else set()
        assert set(figures.auxiliary_losses) == expected


def test_without_auxiliary_losses_the_return_heads_stay_as_they_were() -> None:
    model = new_model()
    before = weights(model)
    _, watcher = train(CONFIG.model_copy(update={"auxiliary_losses": False}), model)
    assert not any(name.startswith("return_heads") for name in moved(model, before))
    assert watcher.figures[-1].auxiliary_losses == {}


def test_a_fully_masked_batch_equals_heads_disabled_bit_for_bit() -> None:
    blind, off = new_model(), new_model()
    of = problem()
    unknown = ReturnTargets(of.targets.horizons, torch.full_like(of.targets.values, torch.nan))
    masked = type(of)(of.environment, unknown, of.initial_cash, of.validate)
    train(CONFIG, blind, masked)
    train(CONFIG.model_copy(update={"auxiliary_losses": False}), off)
    assert not moved(blind, weights(off))


def test_heads_only_fine_tuning_moves_the_return_heads_alone() -> None:
    model = new_model()
    before = weights(model)
    config = CONFIG.model_copy(update={"train_heads_only": True, "iterations": 6})
    learner, watcher = train(config, model)
    assert moved(model, before) == {"return_heads.weight", "return_heads.bias"}
    assert watcher.figures[0].iteration == 1  # no critic to warm up
    assert learner.best_iteration == 6
    first, last = (watcher.figures[i].auxiliary_losses["1h"] for i in (0, -1))
    assert last < first


def test_heads_only_is_refused_without_auxiliary_losses() -> None:
    with pytest.raises(ValueError, match="must have auxiliary_losses, was without"):
        PPOConfig(train_heads_only=True, auxiliary_losses=False)


def test_every_parameter_is_clipped_and_checked_once() -> None:
    model = new_model()
    parts = [p for part in network_parts(model, CONFIG).values() for p in part.parameters]
    assert len(parts) == len({id(p) for p in parts})
    assert {id(p) for p in parts} == {id(p) for p in model.parameters()}


@pytest.mark.parametrize(
    ("given", "iterations"),
    [
        ({"iterations": 7}, 7),
        ({"iterations": 7, "episodes": 2049}, 3),  # 1,024 windows an iteration
        ({"iterations": 7, "episodes": 99, "timesteps": 1_000_000}, 6),  # 8 rollouts, 2 of warm-up
        ({"timesteps": 1}, 1),
        ({"timesteps": 1_000_000, "critic_epochs": 0}, 8),  # nothing warms up
    ],
)
def test_timesteps_beat_episodes_beat_iterations(given: dict[str, int], iterations: int) -> None:
    assert PPOConfig(**given).num_iterations == iterations  # type: ignore[arg-type]


def test_processes_share_what_is_asked_for_in_steps_and_windows() -> None:
    asked = PPOConfig(timesteps=1_000_000, episodes=5)
    assert asked.for_processes(2).timesteps == 500_000
    assert asked.for_processes(2).episodes == 3


def test_a_training_that_never_beats_its_clone_returns_the_clone() -> None:
    scores = iter([5.0, 1.0, None, float("nan")])
    model, of = new_model(), problem()
    before = weights(model)

    def validate(_: ActorCritic, iteration: int) -> Validation:
        return Validation(iteration=iteration, score=next(scores), figures={})

    falling = type(of)(of.environment, of.targets, of.initial_cash, validate)
    learner, _ = train(CONFIG.model_copy(update={"iterations": 3}), model, falling)
    assert learner.best_iteration == 0
    assert not moved(model, before)


def test_the_weights_kept_are_those_of_the_best_validated_iteration() -> None:
    scores = iter([0.0, 3.0, 1.0, 2.0])
    seen: list[dict[str, torch.Tensor]] = []
    of = problem()

    def validate(model: ActorCritic, iteration: int) -> Validation:
        seen.append(weights(model))
        return Validation(iteration=iteration, score=next(scores), figures={})

    judged = type(of)(of.environment, of.targets, of.initial_cash, validate)
    learner, _ = train(CONFIG.model_copy(update={"iterations": 3}), None, judged)
    assert learner.best_iteration == 1
    assert not moved(learner.model, seen[1])


@pytest.mark.parametrize("shape", [SMALL, RECURRENT])
def test_a_seed_gives_one_policy(shape: object) -> None:
    first, second = new_model(shape), new_model(shape)  # type: ignore[arg-type]
    train(CONFIG, first)
    train(CONFIG, second)
    assert not moved(first, weights(second))


def test_a_watcher_sees_every_phase_to_its_end() -> None:
    _, watcher = train()
    assert ("rollout", 16, 16) in watcher.phases
    assert ("policy", 16, 16) in watcher.phases  # 4 epochs of 4 minibatches
    assert ("critic", 16, 16) in watcher.phases
    assert [summary.steps for summary in watcher.summaries] == [3 * 32 * 16]


def test_training_ends_early_when_asked_to() -> None:
    learner = new_learner(new_model(), CONFIG, {})
    is_done = train_ppo(learner, problem(), CONFIG, Silent(), after_iteration=lambda _: True)
    assert not is_done
    assert learner.iteration == 0


@pytest.mark.parametrize("shape", [SMALL, RECURRENT])
def test_ppo_learns_to_trade_what_it_can_see(shape: object) -> None:
    config = PPOConfig(
        num_envs=128, rollout_steps=16, num_minibatches=4, iterations=25, evaluate_every=100,
        actor_learning_rate=3e-3, critic_learning_rate=9e-3, discount=0.9, chunk_steps=8,
    )  # fmt: skip
    _, watcher = train(config, new_model(shape))  # type: ignore[arg-type]
    # half of the bars rise by 1%: who sees them earns up to 8% a window of 16, chance earns 0;
    # exploration, which draws strengths below 1, takes its share
    earned = [figures.mean_return or 0.0 for figures in watcher.figures]
    assert np.mean(earned[-3:]) > 4.0
    assert earned[0] < 1.0


def test_return_heads_learn_from_features_that_take_no_gradient() -> None:
    training, batch = one_rollout(CONFIG.model_copy(update={"train_heads_only": True}))
    log = UpdateLog.empty()
    update_return_heads(training, batch, log)
    assert all(p.grad is None for p in training.learner.model.encoder.parameters())
    assert set(log.norms[0]) == {"return_heads"}
