"""The trainer solves what others solve: CartPole-v1, through the Gymnasium adapter."""

from collections.abc import Callable
from functools import partial
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.vector import AutoresetMode, SyncVectorEnv

from rl_core.learning.envs.gymnasium import GymEnvironment, GymState
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.ppo.history import Validation
from rl_core.learning.ppo.learner import new_learner
from rl_core.learning.ppo.setup import TrainingProblem
from rl_core.learning.ppo.train import train_ppo
from rl_core.learning.ppo.update import ReturnTargets
from rl_core.learning.settings import ModelConfig, PPOConfig
from tests.learning.problems import Silent

CONFIG = PPOConfig(  # rollouts and rates as in RL Baselines3 Zoo's CartPole-v1, shared encoder
    num_envs=8, rollout_steps=32, timesteps=100_000, num_minibatches=1, epochs=20,
    critic_epochs=0, critic_warmup_iterations=0, discount=0.98, gae_lambda=0.8,
    actor_learning_rate=1e-3, critic_learning_rate=1e-3, lr_annealing=True,
    final_learning_rate=1e-5, entropy_coefficient=0.005, value_coefficient=0.25,
    auxiliary_losses=False, evaluate_every=20,
)  # fmt: skip


def envs(number: int) -> SyncVectorEnv:
    make: Callable[[], Any] = partial(gymnasium.make, "CartPole-v1")
    return SyncVectorEnv([make] * number, autoreset_mode=AutoresetMode.SAME_STEP)


@torch.no_grad()
def mean_return(model: ActorCritic, episodes: int, seed: int) -> float:
    """Of the likeliest actions, over the first episode of each environment."""
    model.eval()
    environment = envs(episodes)
    seen, _ = environment.reset(seed=seed)
    total, alive = np.zeros(episodes), np.ones(episodes, dtype=bool)
    for _ in range(500):
        action = model(torch.from_numpy(seen)).logits.argmax(dim=-1).numpy()
        seen, reward, terminated, truncated, _ = environment.step(action)
        total += reward * alive
        alive &= ~(terminated | truncated)
    return float(total.mean())


def train(seed: int, config: PPOConfig) -> ActorCritic:
    torch.manual_seed(seed)
    shape = ModelConfig(hidden_dim=64, head_dim=0, layer_norm=False, dropout=0.0)
    model = ActorCritic(4, 2, 0, shape, has_strength=False)

    def validate(policy: ActorCritic, iteration: int) -> Validation:
        return Validation(iteration=iteration, score=mean_return(policy, 40, 123), figures={})

    problem: TrainingProblem[GymState] = TrainingProblem(
        GymEnvironment(envs(8)), ReturnTargets((), torch.zeros(1, 0)), 1.0, validate
    )
    config = config.model_copy(update={"seed": seed})
    learner = new_learner(model, config, {})
    train_ppo(learner, problem, config, Silent())
    assert learner.env_steps <= 100_096  # whole rollouts
    return model


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_cartpole_reaches_500_in_100k_steps(seed: int) -> None:
    assert mean_return(train(seed, CONFIG), episodes=20, seed=1000 + seed) == 500.0


def test_what_a_step_led_to_is_seen_before_the_reset() -> None:
    environment = GymEnvironment(envs(2))
    generator = torch.Generator().manual_seed(0)
    state, starts = environment.reset(None, 2, 32, generator)
    assert starts.all()
    right, none = torch.ones(2, dtype=torch.int64), torch.zeros(2)
    result = environment.step(state, right, none)
    while not result.terminated.any():  # always to the right: it falls within ten steps or so
        state = environment.auto_reset(result.terminated, result.state, result.state)
        result = environment.step(state, right, none)
    fallen = result.terminated.nonzero()[0, 0]
    assert result.state.observation[fallen, 2].abs() > 0.2  # radians: it has fallen
    after = environment.auto_reset(result.terminated, result.state, result.state)
    assert after.observation[fallen, 2].abs() < 0.06  # a new episode
