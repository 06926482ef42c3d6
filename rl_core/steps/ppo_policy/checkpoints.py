"""The checkpoints of one training: its own folder, what it must agree with, how it is taken up.

    data/training/<desk>/<run>/   checkpoint_<step>/  model_interrupted_<time>/
                                  metrics.json  tensorboard/

A run is what is asked for: the policy it starts from, data, settings, processes. Trainings of
other settings lie in other folders and never touch each other's checkpoints.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from rl_core.base.errors import TollgateError
from rl_core.base.files import sha256_json
from rl_core.base.settings import first_difference, slice_settings
from rl_core.learning.hardware.distributed import Processes
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.ppo.learner import Learner, require_same_shapes
from rl_core.learning.ppo.reporting import TrainingLog
from rl_core.learning.ppo.rollout import RolloutCarry
from rl_core.learning.ppo.sizing import SIZES
from rl_core.learning.settings import PPOConfig
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext, Task
from rl_core.steps.options import BuildOptions
from rl_core.steps.regime_dataset import REGIMES
from rl_core.store.checkpoints import (
    interrupted_name,
    load_checkpoint,
    newest_checkpoint,
    periodic_name,
    remove_old,
    save_checkpoint,
)

log = logging.getLogger(__name__)

# what a resumed training may change besides what the step ignores: how long it lasts
FREE_TO_CHANGE = ("ppo.iterations", "ppo.episodes", "ppo.timesteps")


@dataclass(frozen=True)
class FoundCheckpoint:
    """A verified checkpoint of this training."""

    path: Path
    step: int
    tensors: dict[str, torch.Tensor]  # with those that are this process's own
    facts: dict[str, Any]

    @property
    def sizes(self) -> dict[str, int]:
        """The sizes that the training had, which may be smaller than those asked for."""
        return self.facts["sizes"]

    @property
    def summaries(self) -> list[dict[str, Any]]:
        """What `metrics.json` held when the checkpoint was written."""
        return list(self.facts["log"])


def run_facts(task: Task, started_from: str) -> dict[str, Any]:
    """What makes a training the one that it is."""
    step, settings = task.step, task.context.desk.resolved()
    return {
        "started_from": started_from,
        "inputs": {name: task.inputs[name].identity for name in (BARS.name, REGIMES.name)},
        "settings": slice_settings(settings, step.reads, (*step.ignores, *FREE_TO_CHANGE)),
        "processes": task.options.processes.count,
        "device": task.options.device.type,
    }


def run_folder(context: DeskContext, run: Mapping[str, Any]) -> Path:
    """The folder that belongs to one training alone."""
    return training_folder(context) / sha256_json(dict(run))[:12]


def training_folder(context: DeskContext) -> Path:
    """The folder of all trainings of a desk."""
    return context.root / "training" / context.desk.name


def find_checkpoint(
    folder: Path,
    run: Mapping[str, Any],
    model: ActorCritic,
    options: BuildOptions,
) -> FoundCheckpoint | None:
    """The checkpoint that was asked for; None to start anew.

    Raises:
        TollgateError: there is none, it is broken, or it is of another training or network; unless
            `allow_fresh`.
    """
    if options.checkpoint is None and not options.resume:
        return None
    try:
        return verified(options.checkpoint or newest(folder), run, model, options.processes)
    except TollgateError as error:
        if not options.allow_fresh:
            raise
        log.info(f"ppo: starting anew: {error}")
        return None


def newest(folder: Path) -> Path:
    """The newest valid checkpoint of this training, or else of any other, which will not fit.

    Raises:
        TollgateError: there is none at all.
    """
    others = sorted(folder.parent.glob("*/")) if folder.parent.is_dir() else []
    for place in (folder, *(each for each in others if each != folder)):
        found, refused = newest_checkpoint(place)
        for reason in refused:
            log.warning(f"ppo: passed over a checkpoint: {reason}")
        if found is not None:
            return found
    raise TollgateError(
        f"--resume must find a checkpoint in {folder}, was none: leave it out, or add "
        "--allow-fresh to start anew"
    )


def verified(
    path: Path, run: Mapping[str, Any], model: ActorCritic, processes: Processes
) -> FoundCheckpoint:
    """Read a checkpoint of this very training.

    Raises:
        TollgateError: names the first difference, with both shapes if it is one of shape.
    """
    checkpoint, tensors = load_checkpoint(path)
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    require_same_shapes(model, weights, path.name)
    if difference := first_difference(dict(checkpoint.facts["run"]), dict(run), "run"):
        raise TollgateError(
            f"{path.name} must be of this training, was of another {difference}: train as it was, "
            "or add --allow-fresh to start anew"
        )
    mark = f"process.{processes.rank}."
    own = {k.removeprefix(mark): v for k, v in tensors.items() if k.startswith(mark)}
    own |= {k: v for k, v in tensors.items() if not k.startswith("process.")}
    return FoundCheckpoint(path, checkpoint.step, own, checkpoint.facts)


def take_up(
    learner: Learner,
    found: FoundCheckpoint,
    config: PPOConfig,
    like: RolloutCarry[Any] | None,
) -> None:
    """Become what the checkpoint stores.

    Raises:
        TollgateError: nothing is left to do.
    """
    learner.restore(found.tensors, found.facts, like)
    if learner.iteration >= config.num_iterations:
        raise TollgateError(
            f"a resumed training must have iterations left, was {learner.iteration} of "
            f"{config.num_iterations} in {found.path.name}: ask for more"
        )
    log.info(f"ppo: resuming from {found.path.name}, after {found.step:,} steps")
    planned = found.facts["iterations"]
    if planned != config.num_iterations:
        log.warning(
            f"ppo: this training lasts {config.num_iterations} iterations, was to last "
            f"{planned}: learning rates and curriculum are those of the new length"
        )


def keep(
    learner: Learner,
    folder: Path,
    run: Mapping[str, Any],
    config: PPOConfig,
    options: BuildOptions,
    training_log: TrainingLog,
) -> bool:
    """Save what is due; whether the training was asked to stop, here or in another process."""
    processes, device = options.processes, options.device
    asked = torch.tensor(options.stop.signum is not None, device=device)
    is_stopping = bool(processes.any(asked))
    is_done = learner.iteration == config.num_iterations
    is_due = learner.iteration > 0 and learner.iteration % config.checkpoint_every == 0
    if (is_due or is_stopping) and not is_done:
        gathered = {
            key: processes.gather(tensor.to(device))
            for key, tensor in learner.own_tensors().items()
        }
        if processes.is_first:
            stopped = interrupted_name(datetime.now(UTC))
            name = stopped if is_stopping else periodic_name(learner.env_steps)
            own = {
                f"process.{rank}.{key}": tensor
                for key, each in gathered.items()
                for rank, tensor in enumerate(each)
            }
            facts = {
                "run": dict(run),
                "sizes": {name: getattr(config, name) for name in SIZES},
                "log": training_log.summaries,
                "iterations": config.num_iterations,
            }
            path = save_checkpoint(
                folder, name, learner.env_steps, learner.tensors() | own,
                learner.facts() | facts,
            )  # fmt: skip
            training_log.line(f"ppo: saved {path}")
            remove_old(folder)
    return is_stopping and not is_done
