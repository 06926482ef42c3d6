"""What every environment shares: the result of a step, and automatic resets.

Shapes: N environments, F features.
"""

from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

State = TypeVar("State")


class Step(NamedTuple, Generic[State]):
    """One step of N accounts, before any reset."""

    state: State
    observation: Tensor  # (N, F) after the step
    reward: Tensor  # (N,)
    terminated: Tensor  # (N,) bool, a rule was broken: do not bootstrap
    truncated: Tensor  # (N,) bool, the window ended: bootstrap from `observation`


class EpisodicEnv(Protocol[State]):
    """An environment as the rollout sees it."""

    num_envs: int

    def reset(self, generator: torch.Generator | None) -> State:
        """N fresh accounts at random bars."""
        ...

    def observe(self, state: State) -> Tensor:
        """(N, F)."""
        ...

    def step(self, state: State, category: Tensor, strength: Tensor) -> Step[State]:
        """Advance every account by one bar, without resetting any."""
        ...
