"""What every environment shares: the result of a step, and what the trainer asks of it.

An observation is never stored: it is a row of a table that all accounts share, beside the few
numbers that are an account's own. Shapes: N environments, B table rows, F features, P private ones.
"""

from typing import Generic, NamedTuple, Protocol, TypeVar

import torch
from torch import Tensor

State = TypeVar("State")


class Observation(NamedTuple):
    """Where N observations lie."""

    row: Tensor  # (N,) of the environment's `features`
    private: Tensor  # (N, P) float32


class Ledger(NamedTuple):
    """What a step did to the money; zeros where an environment has none."""

    pnl: Tensor  # (N,) change of equity over the step, account currency
    side: Tensor  # (N,) -1 short, 0 flat, 1 long, after the step
    drawdown: Tensor  # (N,) 0..1 below the highest equity so far


class Step(NamedTuple, Generic[State]):
    """One step of N accounts, before any reset."""

    state: State
    reward: Tensor  # (N,)
    terminated: Tensor  # (N,) bool, a rule was broken: do not bootstrap
    truncated: Tensor  # (N,) bool, the window ended: bootstrap from the observation of `state`
    ledger: Ledger


class Environment(Protocol[State]):
    """N environments that step together. Everything but the draws of `begin` can be compiled."""

    @property
    def features(self) -> Tensor:
        """(B, F) float32: the part of an observation that accounts share; F may be 0."""
        ...

    @property
    def truncates_midway(self) -> bool:
        """May a window end before the rollout does?"""
        ...

    def begin(
        self, previous: State | None, num_envs: int, steps: int, generator: torch.Generator
    ) -> tuple[State, Tensor]:
        """The states with which a rollout of `steps` begins, and (N,) bool: a new episode?"""
        ...

    def fresh(self, num_envs: int, steps_left: int, generator: torch.Generator) -> State:
        """States that those which end now restart from."""
        ...

    def step(self, state: State, category: Tensor, strength: Tensor) -> Step[State]:
        """Act: (N,) int64 categories, (N,) strengths in [0, 1]."""
        ...

    def restart(self, ended: Tensor, state: State, fresh: State) -> State:
        """The states to go on with, after (N,) bool ended."""
        ...

    def observe(self, state: State) -> Observation:
        """What the accounts see."""
        ...
