"""How `ppo_policy` is trained: from which policy, on which market, and on from which checkpoint."""

import logging
import signal
from dataclasses import dataclass
from pathlib import Path

import torch

from rl_core.base.errors import Interrupted
from rl_core.desk import DeskConfig
from rl_core.learning.hardware.memory import memory_limit
from rl_core.learning.hardware.precision import pick_precision
from rl_core.learning.models.policy_file import (
    Policy,
    PolicySpec,
)
from rl_core.learning.ppo.learner import Learner, new_learner
from rl_core.learning.ppo.reporting import TrainingLog
from rl_core.learning.ppo.rollout import blank_position
from rl_core.learning.ppo.sizing import ProblemSize, fitted, tiling_of
from rl_core.learning.ppo.train import train_ppo
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext, Task
from rl_core.steps.options import BuildOptions
from rl_core.steps.ppo_policy.checkpoints import (
    FoundCheckpoint,
    find_checkpoint,
    keep,
    run_facts,
    run_folder,
    take_up,
)
from rl_core.steps.ppo_policy.problem import trading_problem
from rl_core.steps.ppo_policy.start import return_losses, starting_policy

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Trained:
    """A trained policy with the figures of its training."""

    learner: Learner
    spec: PolicySpec
    started_from: str
    losses_before: list[float]  # of the return heads that it started with, on the training rows
    folder: Path  # of its checkpoints, `metrics.json` and TensorBoard events
    config: DeskConfig
    log: TrainingLog
    initial_heads: dict[str, torch.Tensor]  # of the return heads, before they were ever trained


def run_ppo(task: Task) -> Trained:
    """Train, from the start or from a checkpoint, and leave checkpoints on the way.

    Raises:
        Interrupted: it was asked to stop, and left a checkpoint.
        TollgateError: nothing to start from, or a checkpoint of another training.
    """
    context, options, device = task.context, task.options, task.options.device
    if context.desk.bars.is_simulated:
        log.info(f"ppo: trains on {context.desk.bars.market_name} bars")
    policy, started_from, initial_heads = starting_policy(task)
    before = return_losses(task, policy, device)
    run = run_facts(task, started_from)
    folder = run_folder(context, run)
    found = find_checkpoint(folder, run, policy.model, options)
    desk = fitting_desk(task, policy, found)
    problem = trading_problem(task, desk, policy, device)
    learner = new_learner(
        policy.model,
        desk.ppo,
        {
            "scales_loss": pick_precision(device, amp=desk.ppo.amp).needs_scaling,
            "share": options.processes.any,
        },
        options.processes.rank,
        len(problem.environment.rules),
    )
    if found is not None:
        like = blank_position(problem.environment, policy.model, desk.ppo, device)
        take_up(learner, found, desk.ppo, like)
    speaks = options.processes.is_first
    with TrainingLog(
        desk.ppo, policy.model.num_actions, device, folder if speaks else None, options.verbosity
    ) as training_log:  # fmt: skip
        training_log.summaries = found.summaries if found else []
        if not learner.validations:
            training_log.line("ppo: scoring the policy it starts from on the validation span")

        def after_iteration(learner: Learner) -> bool:
            return keep(learner, folder, run, desk.ppo, options, training_log)

        is_done = train_ppo(
            learner, problem, desk.ppo, training_log, processes=options.processes,
            after_iteration=after_iteration,
        )  # fmt: skip
    if not is_done:
        raise interruption(context, options)
    return Trained(
        learner, policy.spec, started_from, before, folder, desk, training_log, initial_heads
    )


def fitting_desk(task: Task, policy: Policy, found: FoundCheckpoint | None) -> DeskConfig:
    """The desk with this process's share of the steps, and sizes that fit into its memory.

    What was lowered is said. A resumed training keeps the sizes that it had.

    Raises:
        TollgateError: a rollout of these settings does not split into equal minibatches.
    """
    context, options, device = task.context, task.options, task.options.device
    ppo, bars = context.desk.ppo.for_processes(options.processes.count), task.input(BARS).facts
    size = ProblemSize(
        parameters=sum(parameter.numel() for parameter in policy.model.parameters()),
        table_rows=bars.rows,
        **context.kind.memory_dimensions(bars.stocks),
        observation_size=len(policy.spec.features),
        num_account_features=len(context.kind.state.account),
        num_horizons=len(policy.spec.horizons),
    )
    if found is not None:
        ppo = ppo.model_copy(update=found.sizes)
    else:
        limit = options.processes.smallest_share(memory_limit(device, options.max_gpu_gb), device)
        ppo, lowered = fitted(ppo, policy.spec.model, size, limit)
        for warning in lowered:
            log.warning(f"ppo: {warning}")
    tiling_of(ppo, is_recurrent=policy.model.is_recurrent)
    return context.desk.model_copy(update={"ppo": ppo})


def interruption(context: DeskContext, options: BuildOptions) -> Interrupted:
    """What an interrupted training says at its end."""
    asked = {
        name: getattr(context.desk.ppo, name) for name in ("timesteps", "episodes", "iterations")
    }
    length = next(f"--{name} {value}" for name, value in asked.items() if value is not None)
    return Interrupted(
        options.stop.signum or signal.SIGTERM,
        f"training of desk {context.desk.name} was interrupted and saved; go on with "
        f"tollgate ppo --desk {context.desk.name} --resume {length} and the same settings",
    )
