"""The spot environment as a native batched TorchRL `EnvBase` around the project's own `step`.

Discrete(3) at the fixed strength 1, as for the other peers. Shapes: N accounts.
"""

import torch
from tensordict import TensorDict, TensorDictBase
from torch import Tensor
from torchrl.data import Categorical, Composite, Unbounded
from torchrl.envs import EnvBase

from benchmarks.peers import market
from rl_core.kinds.spot.env import SpotState, SpotWindows, observe, open_accounts, step


class SpotTorchRL(EnvBase):
    """N accounts as one environment of batch size N; their state stays here."""

    def __init__(self, num_envs: int) -> None:
        super().__init__(batch_size=torch.Size([num_envs]), device="cpu")
        self.market, self.params = market.torch_market()
        self.windows = SpotWindows(torch.empty(0), self.market, self.params)
        self.strength = torch.ones(num_envs)
        column, shape = (num_envs, 1), (num_envs, market.OBSERVATION)
        flag = Categorical(2, shape=torch.Size(column), dtype=torch.bool)
        self.observation_spec = Composite(observation=Unbounded(shape), shape=self.batch_size)
        self.action_spec = Categorical(3, shape=self.batch_size)
        self.reward_spec = Unbounded(column)
        self.done_spec = Composite(
            done=flag, terminated=flag.clone(), truncated=flag.clone(), shape=self.batch_size
        )
        self.state = self.fresh()

    def fresh(self) -> SpotState:
        """(N,) accounts at random bars."""
        bar = torch.randint(len(self.market.close) - market.WINDOW, self.batch_size)
        return open_accounts(self.params, self.market, bar, bar + market.WINDOW)

    def flags(self, terminated: Tensor, truncated: Tensor) -> dict[str, Tensor]:
        """What ended, each (N, 1)."""
        columns = {
            "done": terminated | truncated, "terminated": terminated, "truncated": truncated
        }  # fmt: skip
        return {key: column.unsqueeze(-1) for key, column in columns.items()}

    def _reset(self, tensordict: TensorDictBase | None = None, **_: object) -> TensorDictBase:
        fresh = self.fresh()
        if tensordict is not None and "_reset" in tensordict:
            fresh = self.windows.auto_reset(tensordict["_reset"].view(-1), self.state, fresh)
        self.state = fresh
        never = torch.zeros(self.batch_size, dtype=torch.bool)
        observation = {"observation": observe(self.market, fresh)}
        return TensorDict(observation | self.flags(never, never), self.batch_size)

    def _step(self, tensordict: TensorDictBase) -> TensorDictBase:
        result = step(self.market, self.params, self.state, tensordict["action"], self.strength)
        self.state = result.state
        seen = observe(self.market, result.state)
        after = {"observation": seen, "reward": result.reward.unsqueeze(-1)}
        ended = self.flags(result.terminated, result.truncated)
        return TensorDict(after | ended, self.batch_size)

    def _set_seed(self, seed: int | None) -> None:
        torch.manual_seed(seed or 0)
