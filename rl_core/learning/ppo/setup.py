"""What a PPO training is made of: the problem, who watches, and what every iteration uses again.

Shapes: H horizons.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol

from torch import Tensor, nn

from rl_core.learning.envs.core import Environment, State
from rl_core.learning.hardware.compilation import compiled
from rl_core.learning.hardware.distributed import Processes
from rl_core.learning.hardware.precision import Precision, pick_precision
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.ppo.history import PPOIteration, Validation
from rl_core.learning.ppo.learner import Learner
from rl_core.learning.ppo.minibatches import Tiling
from rl_core.learning.ppo.rollout import (
    Rollout,
    SharedFeatures,
    StepRecord,
    empty_rollout,
    rollout_step,
)
from rl_core.learning.ppo.sizing import tiling_of
from rl_core.learning.ppo.tracker import TradeSummary
from rl_core.learning.ppo.update import Losses, Minibatch, ReturnTargets, Update, policy_losses
from rl_core.learning.settings import PPOConfig


class Watcher(Protocol):
    """Who is told how a training goes."""

    def phase(self, name: str, done: int, total: int) -> None:
        """So many of the steps or minibatches of a phase are done."""
        ...

    def iteration(self, figures: PPOIteration) -> None:
        """Told of the figures when an iteration is done."""
        ...

    def summary(self, iteration: int, trades: TradeSummary) -> None:
        """The trades since the last summary."""
        ...


@dataclass(frozen=True)
class TrainingProblem(Generic[State]):
    """What is learned.

    Args:
        environment: where accounts trade.
        targets: of the return heads.
        initial_cash: of an account, the unit of a trade's return.
        validate: figures of a policy after an iteration; scores compare, higher is better.
        clone: the policy that training starts from, for the KL that ties it to it.
    """

    environment: Environment[State]
    targets: ReturnTargets
    initial_cash: float
    validate: Callable[[ActorCritic, int], Validation]
    clone: ActorCritic | None = None


@dataclass(frozen=True)
class Training(Generic[State]):
    """A training under way: what changes is in `learner` and `buffers`."""

    learner: Learner
    problem: TrainingProblem[State]
    config: PPOConfig
    watcher: Watcher
    processes: Processes
    precision: Precision
    table: SharedFeatures
    buffers: Rollout
    tiling: Tiling
    return_weights: Tensor  # (H,)
    take_step: Callable[..., StepRecord[State]]
    policy_losses: Callable[..., Losses]
    update: nn.Module


def prepare_training(
    learner: Learner,
    problem: TrainingProblem[State],
    config: PPOConfig,
    watcher: Watcher,
    processes: Processes,
) -> Training[State]:
    """The buffers and functions that every iteration uses again."""
    model, device = learner.model.eval(), learner.totals.pnl.device  # dropout is off throughout
    precision = pick_precision(device, amp=config.amp)
    tiling = tiling_of(config, is_recurrent=model.is_recurrent)
    table = SharedFeatures.prepare(model, problem.environment.features, precision)
    num_account_features = len(model.standardiser.mean) - table.rows.shape[1]

    def losses(
        model: ActorCritic, batch: Minibatch, weights: Tensor, tether: tuple[Tensor, Tensor] | None
    ) -> Losses:
        return policy_losses(
            model, table, problem.targets.values, batch, weights, tether, config, precision,
            processes.average,
        )  # fmt: skip

    return Training(
        learner=learner,
        problem=problem,
        config=config,
        watcher=watcher,
        processes=processes,
        precision=precision,
        table=table,
        buffers=empty_rollout(
            config.rollout_steps,
            config.num_envs,
            num_account_features,
            problem.environment,
            model,
            tiling.chunk_steps,
            device,
        ),
        tiling=tiling,
        return_weights=problem.targets.coefficients(config),
        take_step=compiled(rollout_step, device, enabled=config.compile),
        policy_losses=compiled(losses, device, enabled=config.compile),
        update=processes.share_gradients(Update(model)),
    )
