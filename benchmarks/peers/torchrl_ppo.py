"""TorchRL PPO on the spot environment.

Tuned: the rollout keeps the values,
so that GAE needs one more forward pass only; the loss runs the shared trunk once, because the
value head reads what the actor left in the tensordict. Shapes: N accounts, T steps.
"""

import torch
from tensordict import TensorDict, TensorDictBase
from tensordict.nn import TensorDictModule, TensorDictSequential
from torch import nn
from torch.distributions import Categorical as CategoricalDistribution
from torchrl.collectors import Collector
from torchrl.modules import ActorValueOperator, ProbabilisticActor
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value import GAE

from benchmarks.peers import market
from benchmarks.peers.torchrl_env import SpotTorchRL

NUM_ENVS = 1024
MINIBATCHES = 32
LOSSES = ("loss_objective", "loss_entropy", "loss_critic")


def make_network(env: SpotTorchRL) -> ActorValueOperator:
    """34 -> 128 -> 128, shared by the linear policy and value heads."""
    trunk = nn.Sequential(
        nn.Linear(market.OBSERVATION, market.HIDDEN),
        nn.ReLU(),
        nn.Linear(market.HIDDEN, market.HIDDEN),
        nn.ReLU(),
    )
    logits = TensorDictModule(nn.Linear(market.HIDDEN, 3), ["hidden"], ["logits"])
    actor = ProbabilisticActor(
        logits, ["logits"], spec=env.action_spec, distribution_class=CategoricalDistribution,
        return_log_prob=True,
    )  # fmt: skip
    return ActorValueOperator(
        TensorDictModule(trunk, ["observation"], ["hidden"]),
        actor,
        TensorDictModule(nn.Linear(market.HIDDEN, 1), ["hidden"], ["state_value"]),
    )


def add_advantages(rollout: TensorDictBase, network: ActorValueOperator, gae: GAE) -> None:
    """Advantages and targets from the rollout's own values; rows that were cut off bootstrap."""
    following = rollout["state_value"].roll(-1, dims=1)
    cut = rollout["next", "truncated"].squeeze(-1).clone()
    cut[:, -1] = True
    seen = TensorDict({"observation": rollout["next", "observation"][cut]}, [int(cut.sum())])
    following[cut] = network.get_value_operator()(seen)["state_value"]
    rollout["next", "state_value"] = following
    gae(rollout)


def run_torchrl(
    total_steps: int,
    epochs: int,
    num_envs: int = NUM_ENVS,
    minibatches: int = MINIBATCHES,
) -> float:
    """Environment steps a second, learning included."""
    env = SpotTorchRL(num_envs)
    network = make_network(env)
    loss = ClipPPOLoss(
        network.get_policy_operator(), network.get_value_head(), clip_epsilon=market.CLIP,
        entropy_coeff=market.ENTROPY, critic_coeff=market.VALUE, loss_critic_type="l2",
        normalize_advantage=False, log_explained_variance=False,
    )  # fmt: skip
    gae = GAE(gamma=market.DISCOUNT, lmbda=market.GAE_LAMBDA, value_network=None, average_gae=True)
    optimiser = torch.optim.Adam(loss.parameters(), lr=market.LEARNING_RATE, eps=1e-5)
    rows = num_envs * market.WINDOW
    collected = ("action", "action_log_prob", "state_value")
    policy = TensorDictSequential(*network.module).select_out_keys(*collected)
    collector = Collector(
        env, policy, frames_per_batch=rows, track_traj_ids=False,
        auto_register_policy_transforms=False,
    )  # fmt: skip
    learned = ("observation", "action", "action_log_prob", "advantage", "value_target")
    rollouts = iter(collector)

    def iterate() -> None:
        rollout = next(rollouts)
        with torch.no_grad():
            add_advantages(rollout, network, gae)
        batch = rollout.select(*learned).reshape(-1)
        for _ in range(epochs):
            for chosen in torch.randperm(rows).split(rows // minibatches):
                losses = loss(batch[chosen])
                optimiser.zero_grad()
                sum(losses[key] for key in LOSSES).backward()
                nn.utils.clip_grad_norm_(loss.parameters(), market.GRADIENT_CLIP)
                optimiser.step()

    def work() -> int:
        iterations = -(-total_steps // rows)
        for _ in range(iterations):
            iterate()
        return iterations * rows

    iterate()  # warm up
    result = market.steps_per_second(work)
    collector.shutdown()
    return result
