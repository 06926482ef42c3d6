"""Windows: episodes on a history of bars that begin with a rollout and are as long as it.

The bootstrap then needs one extra forward pass only. An account that breaks a rule starts again at
a random bar. Shapes: N environments.
"""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor
from typing_extensions import override

from rl_core.learning.envs.core import MarketEnvironment, State, where_ended


@dataclass(frozen=True, slots=True)
class Windows(MarketEnvironment[State]):
    """The part of a `MarketEnvironment` that is the same whatever is traded."""

    starts: Tensor  # (S,) int64 bars from which a whole window lies inside the training span

    @property
    @override
    def reward_terms(self) -> tuple[str, ...]:
        return ("growth",)

    @property
    @override
    def annealed_terms(self) -> tuple[str, ...]:
        return ()

    @property
    @override
    def rules(self) -> tuple[str, ...]:
        return ("max_drawdown",)

    @property
    @override
    def truncates_within_rollout(self) -> bool:
        return False

    @property
    @override
    def spans_rollouts(self) -> bool:
        return False

    @property
    @override
    def curriculum(self) -> Mapping[str, Tensor]:
        return {}

    @override
    def at_progress(self, progress: float) -> Self:
        return self

    @override
    def reset(
        self, previous: State | None, num_envs: int, steps: int, generator: torch.Generator
    ) -> tuple[State, Tensor]:
        state = self.reset_state(num_envs, steps, generator)
        return state, torch.ones(num_envs, dtype=torch.bool, device=self.starts.device)

    @override
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
    @override
    def open_accounts(self, bar: Tensor, last_bar: Tensor) -> State:
        """New accounts at the closes of some bars (N,), cut off at the closes of others."""

    @override
    def auto_reset(self, ended: Tensor, state: State, fresh: State) -> State:
        """Account by account, the fresh state or the old one."""
        return where_ended(ended, state, fresh)


def log_growth(after: Tensor, before: Tensor) -> Tensor:
    """(N,) log of after over before; a lost account has no logarithm: a loss of 99.9% stands in."""
    return (after / before).clamp(min=1e-3).log()
