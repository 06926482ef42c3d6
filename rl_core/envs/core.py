"""What every environment shares: the result of a step.

Shapes: N environments, F features.
"""

from typing import Generic, NamedTuple, TypeVar

from torch import Tensor

State = TypeVar("State")


class Step(NamedTuple, Generic[State]):
    """One step of N accounts, before any reset."""

    state: State
    observation: Tensor  # (N, F) after the step
    reward: Tensor  # (N,)
    terminated: Tensor  # (N,) bool, a rule was broken: do not bootstrap
    truncated: Tensor  # (N,) bool, the window ended: bootstrap from `observation`
