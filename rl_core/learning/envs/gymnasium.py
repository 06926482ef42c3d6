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

from rl_core.learning.envs.core import Observation, Step, StepAccounting


class GymState(NamedTuple):
    """N environments after a step."""

    observation: Tensor  # (N, P) that the step led to
    after_reset: Tensor  # (N, P) the same, but the first of a new episode where one ended


@dataclass(frozen=True)
class GymEnvironment:
    """A `gymnasium.vector.VectorEnv` that resets in the same step and reports `final_obs`.

    Args:
        envs: made with `autoreset_mode=AutoresetMode.SAME_STEP`.
    """

    envs: Any

    @property
    def features(self) -> Tensor:
        """Nothing is shared: a table of one row without columns."""
        return torch.zeros(1, 0)

    @property
    def reward_terms(self) -> tuple[str, ...]:
        """The environment's own reward."""
        return ("reward",)

    @property
    def annealed_terms(self) -> tuple[str, ...]:
        """None."""
        return ()

    @property
    def rules(self) -> tuple[str, ...]:
        """What ends an episode."""
        return ("terminated",)

    @property
    def truncates_within_rollout(self) -> bool:
        """Episodes end when they like."""
        return True

    @property
    def spans_rollouts(self) -> bool:
        """They do; but on the host, so that no checkpoint can take them up again."""
        return True

    @property
    def curriculum(self) -> Mapping[str, Tensor]:
        """There is none."""
        return {}

    def at_progress(self, progress: float) -> Self:
        """It is the same throughout."""
        return self

    def reset(
        self, previous: GymState | None, num_envs: int, steps: int, generator: torch.Generator
    ) -> tuple[GymState, Tensor]:
        """Go on; or reset, the first time."""
        if previous is not None:
            return previous, torch.zeros(num_envs, dtype=torch.bool)
        seed = int(torch.randint(2**31, (), generator=generator))
        seen = _tensor(self.envs.reset(seed=seed)[0])
        return GymState(seen, seen), torch.ones(num_envs, dtype=torch.bool)

    def reset_state(self, num_envs: int, steps_left: int, generator: torch.Generator) -> GymState:
        """The vector environment resets by itself."""
        nothing = torch.zeros(num_envs, 0)
        return GymState(nothing, nothing)

    def step(self, state: GymState, category: Tensor, strength: Tensor) -> Step[GymState]:
        """Act on the host."""
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

    def auto_reset(self, ended: Tensor, state: GymState, fresh: GymState) -> GymState:
        """What the vector environment has reset to."""
        return GymState(state.after_reset, state.after_reset)

    def observe(self, state: GymState) -> Observation:
        """Everything is account_features."""
        rows = torch.zeros(len(state.observation), dtype=torch.int64)
        return Observation(rows, state.observation)


def _tensor(values: Any) -> Tensor:
    return torch.as_tensor(np.array(values), dtype=torch.float32)
