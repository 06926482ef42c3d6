"""rejax PPO on the spot environment: rollout and learning in one compiled function.

rejax gives actor and critic a network each, two trunks of 34 -> 128 -> 128, and treats a cut-off
as an end (no bootstrap).
"""

from typing import Any

import jax
import jax.numpy as jnp
from rejax import PPO

from benchmarks.peers import market
from benchmarks.peers.rejax_env import SpotJax

NUM_ENVS = 1024
MINIBATCHES = 64


def no_evaluation(algorithm: PPO, state: Any, key: jax.Array) -> jax.Array:
    """In place of rejax's evaluation episodes."""
    return jnp.zeros(())


def run_rejax(
    total_steps: int, epochs: int, num_envs: int = NUM_ENVS, minibatches: int = MINIBATCHES
) -> float:
    """Environment steps a second, learning included; the second call of the compiled training."""
    rows = num_envs * market.WINDOW
    iterations = -(-total_steps // rows)
    network = {"hidden_layer_sizes": (market.HIDDEN, market.HIDDEN), "activation": "relu"}
    ppo = PPO.create(
        env=SpotJax(), agent_kwargs=network, num_envs=num_envs, num_steps=market.WINDOW,
        num_minibatches=minibatches, num_epochs=epochs, total_timesteps=iterations * rows,
        eval_freq=iterations * rows, skip_initial_evaluation=True,
        learning_rate=market.LEARNING_RATE, gamma=market.DISCOUNT, gae_lambda=market.GAE_LAMBDA,
        clip_eps=market.CLIP, ent_coef=market.ENTROPY, vf_coef=market.VALUE,
        max_grad_norm=market.GRADIENT_CLIP,
    ).replace(eval_callback=no_evaluation)  # fmt: skip
    train = jax.jit(PPO.train)

    def work() -> int:
        state, _ = jax.block_until_ready(train(ppo, jax.random.key(0)))
        return int(state.global_step)

    work()  # compile
    return market.steps_per_second(work)
