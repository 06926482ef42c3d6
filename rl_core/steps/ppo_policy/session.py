"""How `ppo_policy` is trained: from which policy, on which market, and on from which checkpoint."""

import copy
import logging
import signal
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rl_core.base.errors import Interrupted, TollgateError
from rl_core.desk import DeskConfig
from rl_core.features.regimes import RegimeThresholds
from rl_core.judging.statistics.selection import condensed
from rl_core.kinds.registry import kind_of
from rl_core.learning.cloning.clone import cloning_scores
from rl_core.learning.hardware.memory import memory_limit
from rl_core.learning.hardware.precision import pick_precision
from rl_core.learning.models.actor_critic import ActorCritic, head_weights
from rl_core.learning.models.policy_file import (
    Files,
    Policy,
    PolicySpec,
    load_initial_heads,
    load_policy,
    new_model,
)
from rl_core.learning.ppo.history import Validation
from rl_core.learning.ppo.learner import Learner, new_learner, require_same_shapes
from rl_core.learning.ppo.reporting import TrainingLog
from rl_core.learning.ppo.rollout import blank_position
from rl_core.learning.ppo.setup import TrainingProblem
from rl_core.learning.ppo.sizing import ProblemSize, fitted, tiling_of
from rl_core.learning.ppo.train import train_ppo
from rl_core.learning.ppo.update import ReturnTargets
from rl_core.learning.standardise import fit_units
from rl_core.offline.dataset import dataset_arrays
from rl_core.offline.regime_filter import filter_training_rows
from rl_core.offline.settings import RegimeFilterConfig
from rl_core.steps.bars import BARS
from rl_core.steps.bc_policy.demonstrations import demonstrations
from rl_core.steps.bc_policy.step import CLONE
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
from rl_core.steps.reading import read_dataset, read_market, read_thresholds
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.scoring import evaluate_policy, split_span
from rl_core.trading.performance import bar_returns

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


def starting_policy(task: Task) -> tuple[Policy, str, dict[str, torch.Tensor]]:
    """The policy that training starts from, its name, and its return heads as initialised.

    Mode `full` starts from the clone, `incremental` from the champion; heads alone are trained on
    the policy that PPO last made, or on the champion.

    Raises:
        TollgateError: there is none, or its network is not the one that the desk asks for.
    """
    context, desk, device = task.context, task.context.desk, task.options.device
    files: Files
    if desk.ppo.mode == "incremental":
        version = context.models.served("champion")
        files, name = version.folder, version.manifest.version
    elif desk.ppo.train_heads_only:
        context.require_fresh(task.step)  # it is sealed anew as made from the same inputs
        files = context.open_artifact(task.step)
        name = f"{task.step.name} {files.content[:12]}"
    else:
        files = task.input(CLONE)
        name = f"{CLONE.name} {files.content[:12]}"
    policy = load_policy(files, context.kind.state.names, device)
    initial_heads = load_initial_heads(files)
    thresholds = read_thresholds(task.input(REGIMES))
    # the risk head is the clone's affair: PPO keeps it as it finds it
    shape = desk.model.model_copy(update={"risk_head": policy.spec.model.risk_head})
    memory_bars = desk.ppo.rollout_steps if shape.gru_layers else None
    spec = policy.spec.model_copy(
        update={"model": shape, "thresholds": thresholds, "memory_bars": memory_bars}
    )
    if policy.spec.actions != context.kind.actions:
        raise TollgateError(
            f"{name} must choose from {', '.join(context.kind.actions)}, was trained to choose "
            f"from {', '.join(policy.spec.actions)}"
        )
    if policy.spec.horizons != desk.dataset.horizons:
        raise TollgateError(
            f"{name} must predict {desk.dataset.horizons}, was trained for {policy.spec.horizons}"
        )
    torch.manual_seed(desk.ppo.seed)
    wanted = new_model(spec).to(device)
    try:
        require_same_shapes(wanted, policy.model.state_dict(), name)
    except TollgateError as mismatch:
        if not task.options.allow_fresh or desk.ppo.train_heads_only:
            raise
        log.info(f"ppo: starting from a new network ({spec.model.shape()}): {mismatch}")
        train, _ = demonstrations(task.input(REGIMES), desk.dataset.horizons, device)
        fit_units(wanted, train.states, train.returns)
        return Policy(wanted.eval(), spec), "a new network", head_weights(wanted)
    return Policy(policy.model, spec), name, initial_heads


def return_losses(task: Task, policy: Policy, device: torch.device) -> list[float]:
    """Masked Huber loss of each return head on the training rows."""
    desk = task.context.desk
    rows, _ = demonstrations(task.input(REGIMES), desk.dataset.horizons, device)
    return cloning_scores(policy.model, rows, desk.bc).return_losses


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


def trading_problem(
    task: Task, desk: DeskConfig, policy: Policy, device: torch.device
) -> TrainingProblem[Any]:
    """The training span with the data filter's starts, and how a policy is validated."""
    dataset, kind = read_dataset(task.input(REGIMES)), kind_of(desk)
    market = read_market(task.context, task.input(BARS), policy.spec.thresholds)
    span = split_span(dataset, "validation")

    def validate(model: ActorCritic, iteration: int) -> Validation:
        walk = evaluate_policy(
            kind, market, model, span, memory_bars=desk.ppo.rollout_steps, is_quick=True
        )[1]
        return Validation(
            iteration=iteration,
            score=walk.performance.sharpe,
            figures=walk.performance.model_dump(),
            returns=condensed(bar_returns(walk.equity)),
        )

    return TrainingProblem(
        environment=kind.training_environment(
            market,
            kept_bars(desk, dataset, policy.spec.thresholds),
            desk.ppo.rollout_steps,
            device,
        ),
        targets=return_targets(desk, policy.model, dataset, len(market.bars), device),
        initial_cash=desk.initial_cash,
        validate=validate,
        clone=copy.deepcopy(policy.model).eval() if desk.ppo.clone_kl_coefficient else None,
    )


def kept_bars(
    desk: DeskConfig, dataset: pd.DataFrame, thresholds: RegimeThresholds
) -> NDArray[np.int64]:
    """Training bars of the regime dataset, narrowed down by the data filter.

    Raises:
        TollgateError: too few are left.
    """
    narrowed = RegimeFilterConfig(
        mode=desk.ppo.data_filter, min_train_rows=desk.regime_filter.min_train_rows
    )
    rows = filter_training_rows(dataset, thresholds, narrowed)
    kept = rows.loc[rows["split"] == "train", "bar"].to_numpy(np.int64)
    return outside_gaps(kept, dataset, desk.ppo.rollout_steps)


def outside_gaps(
    kept: NDArray[np.int64], dataset: pd.DataFrame, rollout_steps: int
) -> NDArray[np.int64]:
    """Kept bars but those whose rollout would run into another split before training goes on.

    Only folds that leave out the middle of the bars have such gaps.
    """
    other = dataset.loc[dataset["split"] != "train", "bar"].to_numpy(np.int64)
    gaps = np.append(other[other < kept.max()], np.iinfo(np.int64).max)
    return kept[kept + rollout_steps < gaps[np.searchsorted(gaps, kept)]]


def return_targets(
    desk: DeskConfig, model: ActorCritic, dataset: pd.DataFrame, num_bars: int, device: torch.device
) -> ReturnTargets:
    """Targets by bar in units of the model's return scale; unknown outside the training rows."""
    horizons = desk.dataset.horizons
    train = dataset[dataset["split"] == "train"]
    values = torch.full((num_bars, len(horizons)), torch.nan, device=device)
    rows = torch.tensor(train["bar"].to_numpy(np.int64), device=device)
    known = torch.tensor(dataset_arrays(dataset, horizons, "train").returns, device=device)
    values[rows] = known / model.return_scale
    return ReturnTargets(horizons, values)


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
