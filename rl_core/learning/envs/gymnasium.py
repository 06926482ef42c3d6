"""Any Gymnasium vector environment with discrete actions, as the trainer wants it.

It steps on the host, so it is for problems on which others publish results and not for speed.
Shapes: N environments, P observation features.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from rl_core.learning.envs.core import Environment, Observation, Step, StepAccounting


class GymState(NamedTuple):
    """The state of N Gymnasium environments after a step."""

    observation: Tensor  # (N, P) that the step led to
    after_reset: Tensor  # (N, P) the same, but the first of a new episode where one ended


@dataclass(frozen=True)
class GymEnvironment(Environment[GymState]):
    """A `gymnasium.vector.VectorEnv` that resets in the same step and reports `final_obs`.

    Args:
        envs: made with `autoreset_mode=AutoresetMode.SAME_STEP`.
    """

    envs: Any

    @property
    @override
    def features(self) -> Tensor:
        """Nothing is shared: a table of one row without columns."""
        return torch.zeros(1, 0)

    @property
    @override
    def reward_terms(self) -> tuple[str, ...]:
        return ("reward",)

    @property
    @override
    def annealed_terms(self) -> tuple[str, ...]:
        return ()

    @property
    @override
    def rules(self) -> tuple[str, ...]:
        return ("terminated",)

    @property
    @override
    def truncates_within_rollout(self) -> bool:
        return True

    @property
    @override
    def spans_rollouts(self) -> bool:
        """True: episodes continue across rollouts.

        State lives in the host process, so checkpoints cannot restore it.
        """
        return True

    @property
    @override
    def curriculum(self) -> Mapping[str, Tensor]:
        return {}

    @override
    def at_progress(self, progress: float) -> Self:
        return self

    @override
    def reset(
        self, previous: GymState | None, num_envs: int, steps: int, generator: torch.Generator
    ) -> tuple[GymState, Tensor]:
        if previous is not None:
            return previous, torch.zeros(num_envs, dtype=torch.bool)
        seed = int(torch.randint(2**31, (), generator=generator))
        seen = _tensor(self.envs.reset(seed=seed)[0])
        return GymState(seen, seen), torch.ones(num_envs, dtype=torch.bool)

    @override
    def reset_state(self, num_envs: int, steps_left: int, generator: torch.Generator) -> GymState:
        nothing = torch.zeros(num_envs, 0)
        return GymState(nothing, nothing)

    @override
    def step(self, state: GymState, category: Tensor, strength: Tensor) -> Step[GymState]:
        seen, reward, terminated, truncated, info = self.envs.step(category.numpy())
        last = np.array(seen)
        for number in np.flatnonzero(terminated | truncated):
            last[number] = info["final_obs"][number]
        nothing, failed = torch.zeros(len(reward)), torch.from_numpy(terminated.copy())
        return Step(
            GymState(_tensor(last), _tensor(seen)),
            (_tensor(reward),),
            (failed,),
            failed,
            torch.from_numpy(truncated & ~terminated),
            StepAccounting(nothing, torch.zeros_like(failed), nothing, nothing),
        )

    @override
    def auto_reset(self, ended: Tensor, state: GymState, fresh: GymState) -> GymState:
        return GymState(state.after_reset, state.after_reset)

    @override
    def observe(self, state: GymState) -> Observation:
        rows = torch.zeros(len(state.observation), dtype=torch.int64)
        return Observation(rows, state.observation)


def _tensor(values: Any) -> Tensor:
    return torch.as_tensor(np.array(values), dtype=torch.float32)
