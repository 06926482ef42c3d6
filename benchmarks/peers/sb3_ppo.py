"""Stable-Baselines3 PPO on the spot environment: Discrete(3) at the fixed strength 1."""

from typing import Any

from gymnasium import spaces
from stable_baselines3 import PPO
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from benchmarks.peers import market
from benchmarks.peers.sb3_env import AccountVecEnv


class Trunk(BaseFeaturesExtractor):
    """34 -> 128 -> 128, shared by the linear policy and value heads."""

    def __init__(self, observation_space: spaces.Box) -> None:
        super().__init__(observation_space, market.HIDDEN)
        self.layers = nn.Sequential(
            nn.Linear(observation_space.shape[0], market.HIDDEN), nn.ReLU(),
            nn.Linear(market.HIDDEN, market.HIDDEN), nn.ReLU(),
        )  # fmt: skip

    def forward(self, observations: Tensor) -> Tensor:
        """(N, 34) -> (N, 128)."""
        return self.layers(observations)


def learning_settings(num_steps: int, batch: int, epochs: int) -> dict[str, Any]:
    """What PPO and RecurrentPPO share; `num_steps` of each account make a rollout."""
    return {
        "n_steps": num_steps, "batch_size": batch, "n_epochs": epochs,
        "learning_rate": market.LEARNING_RATE, "gamma": market.DISCOUNT,
        "gae_lambda": market.GAE_LAMBDA,
        "clip_range": market.CLIP, "ent_coef": market.ENTROPY, "vf_coef": market.VALUE,
        "max_grad_norm": market.GRADIENT_CLIP, "device": "cpu", "seed": 0,
    }  # fmt: skip


def learn_steps_per_second(model: Any, total_steps: int) -> float:
    """Warm up with one rollout, then time the rest."""
    model.learn(1)

    def work() -> int:
        model.learn(total_steps)
        return model.num_timesteps  # counted anew by each `learn`

    return market.steps_per_second(work)


def run_sb3(
    total_steps: int, epochs: int, num_envs: int = 16, num_steps: int = 1024, batch: int = 1024
) -> float:
    """Environment steps a second, learning included; fastest: 1024 accounts, batches of 4096."""
    network = {"net_arch": [], "features_extractor_class": Trunk}
    settings = learning_settings(num_steps, batch, epochs)
    model = PPO("MlpPolicy", AccountVecEnv(num_envs), policy_kwargs=network, **settings)
    return learn_steps_per_second(model, total_steps)
