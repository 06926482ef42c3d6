"""Windows: episodes on a history of bars that begin with a rollout and are as long as it.

The bootstrap then needs one extra forward pass only. An account that breaks a rule starts again at
a random bar. Shapes: N environments.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Generic, Self

import torch
from torch import Tensor

from rl_core.learning.envs.core import State, where_ended


@dataclass(frozen=True, slots=True)
class Windows(ABC, Generic[State]):
    """The part of a `MarketEnvironment` that is the same whatever is traded."""

    starts: Tensor  # (S,) int64 bars from which a whole window lies inside the training span

    @property
    def reward_terms(self) -> tuple[str, ...]:
        """One: the scaled log growth of equity."""
        return ("growth",)

    @property
    def annealed_terms(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def rules(self) -> tuple[str, ...]:
        """How far equity may fall."""
        return ("max_drawdown",)

    @property
    def truncates_within_rollout(self) -> bool:
        """Windows are as long as rollouts."""
        return False

    @property
    def spans_rollouts(self) -> bool:
        """Every rollout has windows of its own."""
        return False

    @property
    def curriculum(self) -> Mapping[str, Tensor]:
        """There is none."""
        return {}

    def at_progress(self, progress: float) -> Self:
        """It is the same throughout."""
        return self

    def reset(
        self, previous: State | None, num_envs: int, steps: int, generator: torch.Generator
    ) -> tuple[State, Tensor]:
        """New windows for all."""
        state = self.reset_state(num_envs, steps, generator)
        return state, torch.ones(num_envs, dtype=torch.bool, device=self.starts.device)

    def reset_state(self, num_envs: int, steps_left: int, generator: torch.Generator) -> State:
        """Accounts at random starts, cut off `steps_left` bars later."""
        bar = self.starts[self.draw(len(self.starts), num_envs, generator)]
        return self.open_training_accounts(bar, bar + steps_left, generator)

    def draw(self, choices: int, num_envs: int, generator: torch.Generator) -> Tensor:
        """(N,) int64 below `choices`, on the device."""
        return torch.randint(choices, (num_envs,), generator=generator, device=self.starts.device)

    def open_training_accounts(
        self, bar: Tensor, last_bar: Tensor, generator: torch.Generator
    ) -> State:
        """Accounts as training begins with them: like any other, unless told otherwise."""
        return self.open_accounts(bar, last_bar)

    @abstractmethod
    def open_accounts(self, bar: Tensor, last_bar: Tensor) -> State:
        """New accounts at the closes of some bars (N,), cut off at the closes of others."""

    def auto_reset(self, ended: Tensor, state: State, fresh: State) -> State:
        """Account by account, the fresh state or the old one."""
        return where_ended(ended, state, fresh)


def log_growth(after: Tensor, before: Tensor) -> Tensor:
    """(N,) log of after over before; a lost account has no logarithm: a loss of 99.9% stands in."""
    return (after / before).clamp(min=1e-3).log()
