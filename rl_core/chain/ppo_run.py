"""How `ppo_policy` is trained: from which policy, on which market, and on from which checkpoint."""

import copy
import shutil
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rl_core.backtest.preparation import PreparedMarket
from rl_core.chain.bc_policy import demonstrations
from rl_core.chain.training_log import TrainingLog, Verbosity
from rl_core.chain.workplace import Workplace, first_difference
from rl_core.desk import DeskConfig
from rl_core.envs.spot import SpotMarket, SpotParams, SpotState, SpotWindows, allowed_starts
from rl_core.errors import Interrupted, TollgateError
from rl_core.evaluation.policy_walk import PolicyDecisions, decide, span_walk
from rl_core.models.actor_critic import ActorCritic
from rl_core.models.policy_file import Policy, PolicySpec, load_policy, new_model
from rl_core.offline.dataset import dataset_arrays
from rl_core.runtime.checkpoint import (
    FACTS,
    checkpoints,
    interrupted_name,
    load_checkpoint,
    newest_checkpoint,
    periodic_name,
    remove_old,
    save_checkpoint,
)
from rl_core.runtime.distributed import ONE_PROCESS, Processes
from rl_core.runtime.files import read_json
from rl_core.runtime.memory import memory_limit
from rl_core.runtime.precision import pick_precision
from rl_core.runtime.shutdown import StopRequest
from rl_core.trading.performance import Performance
from rl_core.training.learner import Learner, new_learner, require_same_shapes
from rl_core.training.minibatches import Tiling
from rl_core.training.ppo import Problem, train_ppo
from rl_core.training.ppo_figures import Validation
from rl_core.training.sizing import ProblemSize, fitted
from rl_core.training.standardise import fit_units
from rl_core.training.update import ReturnTargets

# what a resumed training may change: how long it lasts, and how often it looks up
FREE_TO_CHANGE = {"iterations", "episodes", "timesteps", "checkpoint_every"}


@dataclass(frozen=True)
class TrainingOptions:
    """How one training is run; what it learns is the desk's."""

    device: torch.device
    verbosity: Verbosity = Verbosity.NORMAL
    resume: bool = False
    checkpoint: Path | None = None
    allow_fresh: bool = False
    max_gpu_gb: tuple[float, float] = (45.0, 20.0)
    processes: Processes = ONE_PROCESS
    stop: StopRequest = field(default_factory=StopRequest)  # one that nobody signals


@dataclass(frozen=True)
class Trained:
    """What came of a training."""

    learner: Learner
    spec: PolicySpec
    started_from: str
    run: dict[str, Any]
    config: DeskConfig
    log: TrainingLog


def run_ppo(work: Workplace, options: TrainingOptions, say: Callable[[str], None]) -> Trained:
    """Train, from the start or from a checkpoint, and leave checkpoints on the way.

    Raises:
        Interrupted: it was asked to stop, and left a checkpoint.
        TollgateError: nothing to start from, or a checkpoint of another training.
    """
    policy, started_from = starting_policy(work, options, say)
    desk = fitting_desk(work, policy, options, say)
    problem = spot_problem(work, desk, policy, options.device)
    learner = new_learner(
        policy.model,
        desk.ppo,
        {
            "scales_loss": pick_precision(options.device, amp=desk.ppo.amp).needs_scaling,
            "share": options.processes.any,
        },
        options.processes.rank,
    )
    run = run_facts(work, desk, started_from)
    folder = training_folder(work)
    resume(learner, folder, run, options, say)
    speaks = options.processes.is_first
    with TrainingLog(
        desk.ppo, policy.model.num_actions, options.device, folder if speaks else None,
        say if speaks else lambda _: None, options.verbosity,
    ) as log:  # fmt: skip
        log.take_up(learner.summaries)
        if not learner.validations:
            log.line("ppo: scoring the policy it starts from on the validation span")

        def after_iteration(learner: Learner) -> bool:
            return keep(learner, folder, run, desk, options, log)

        is_done = train_ppo(
            learner, problem, desk.ppo, log, processes=options.processes,
            after_iteration=after_iteration,
        )  # fmt: skip
    if not is_done:
        raise interruption(work, options)
    return Trained(learner, policy.spec, started_from, run, desk, log)


def training_folder(work: Workplace) -> Path:
    """Where a desk's checkpoints, `metrics.json` and TensorBoard events lie."""
    return work.lake.directory.parents[1] / "training" / work.desk.name


def starting_policy(
    work: Workplace, options: TrainingOptions, say: Callable[[str], None]
) -> tuple[Policy, str]:
    """The policy that training starts from, and its name.

    Mode `full` starts from the clone, `incremental` from the champion; heads alone are trained on
    the policy that PPO last made, or on the champion.

    Raises:
        TollgateError: there is none, or its network is not the one that the desk asks for.
    """
    desk, device = work.desk, options.device
    if desk.ppo.mode == "incremental":
        version = work.store.served("champion")
        policy, name = load_policy(version.directory, device), version.manifest.version
    else:
        link = "ppo_policy" if desk.ppo.train_heads_only else "bc_policy"
        name = f"{link} {work.lake.load(link).content[:12]}"
        policy = load_policy(work.lake.directory / link, device)
    thresholds = work.read_thresholds("regime_dataset")
    spec = policy.spec.model_copy(update={"model": desk.model, "thresholds": thresholds})
    if policy.spec.horizons != desk.dataset.horizons:
        raise TollgateError(
            f"{name} must predict {desk.dataset.horizons}, was trained for {policy.spec.horizons}"
        )
    torch.manual_seed(desk.ppo.seed)
    wanted = new_model(spec).to(device)
    try:
        require_same_shapes(wanted, policy.model.state_dict(), name)
    except TollgateError as mismatch:
        if not options.allow_fresh or desk.ppo.train_heads_only:
            raise
        say(f"ppo: starting from a new network ({spec.model.shape()}): {mismatch}")
        train, _ = demonstrations(work, device)
        fit_units(wanted, train.states, train.returns)
        return Policy(wanted.eval(), spec), "a new network"
    return Policy(policy.model, spec), name


def fitting_desk(
    work: Workplace, policy: Policy, options: TrainingOptions, say: Callable[[str], None]
) -> DeskConfig:
    """The desk with settings that fit into memory; each that was lowered is said.

    Raises:
        TollgateError: a rollout of these settings does not split into equal minibatches.
    """
    bars = work.lake.load("bars").metadata["rows"]
    size = ProblemSize(
        parameters=sum(parameter.numel() for parameter in policy.model.parameters()),
        table_rows=bars,
        observation_size=len(policy.spec.features),
        num_private=4,
        num_horizons=len(policy.spec.horizons),
    )
    limit = memory_limit(options.device, options.max_gpu_gb)
    ppo, lowered = fitted(work.desk.ppo, policy.spec.model, size, limit)
    for warning in lowered:
        say(f"ppo: warning: {warning}")
    chunk_steps = ppo.chunk_steps if policy.model.is_recurrent else 1
    Tiling.of(ppo.rollout_steps, ppo.num_envs, chunk_steps, ppo.num_minibatches)
    return work.desk.model_copy(update={"ppo": ppo})


def spot_problem(
    work: Workplace, desk: DeskConfig, policy: Policy, device: torch.device
) -> Problem[SpotState]:
    """The training span with the regime filter's starts, and how a policy is validated."""
    dataset = work.read_dataset("regime_dataset")
    market = work.read_market(policy.spec.thresholds)
    span = split_span(dataset, "validation")

    def validate(model: ActorCritic, iteration: int) -> Validation:
        performance = evaluate_policy(desk, market, model, span)[1]
        return Validation(
            iteration=iteration, score=performance.sharpe, figures=performance.model_dump()
        )

    return Problem(
        environment=training_windows(desk, market, dataset, device),
        targets=return_targets(desk, policy.model, dataset, len(market.bars), device),
        initial_cash=desk.account.initial_cash,
        validate=validate,
        clone=copy.deepcopy(policy.model).eval() if desk.ppo.clone_kl_coefficient else None,
    )


def training_windows(
    desk: DeskConfig, market: PreparedMarket, dataset: pd.DataFrame, device: torch.device
) -> SpotWindows:
    """The market with starts at the training rows that the regime filter kept."""
    kept = torch.tensor(
        dataset.loc[dataset["split"] == "train", "bar"].to_numpy(np.int64), device=device
    )
    return SpotWindows(
        market=SpotMarket.from_prepared(market, device),
        params=SpotParams(market.rates, desk.account, desk.environment),
        starts=allowed_starts(kept, desk.ppo.rollout_steps),
    )


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


def split_span(dataset: pd.DataFrame, split: str) -> tuple[int, int]:
    """First and last bar of a split."""
    bars = dataset.loc[dataset["split"] == split, "bar"]
    return int(bars.min()), int(bars.max())


def evaluate_policy(
    desk: DeskConfig, market: PreparedMarket, model: ActorCritic, span: tuple[int, int]
) -> tuple[PolicyDecisions, Performance]:
    """Walk a policy through a span at full costs."""
    device = next(model.parameters()).device
    exact = SpotMarket.from_prepared(market, device, torch.float64)
    params = SpotParams(market.rates, desk.account, desk.environment)
    decisions = decide(model, exact, params, *span)
    _, performance = span_walk(market, desk.account, span[0], decisions.action, decisions.strength)
    return decisions, performance


def run_facts(work: Workplace, desk: DeskConfig, started_from: str) -> dict[str, Any]:
    """What a checkpoint must agree with, to be taken up again."""
    settings = desk.resolved()
    settings["ppo"] = {k: v for k, v in settings["ppo"].items() if k not in FREE_TO_CHANGE}
    inputs = {name: work.lake.seal(name).identity for name in ("bars", "regime_dataset")}
    sections = ("model", "ppo", "account", "costs", "environment", "splits", "dataset")
    return {
        "started_from": started_from,
        "inputs": inputs,
        "settings": {name: settings[name] for name in sections},
    }


def resume(
    learner: Learner,
    folder: Path,
    run: Mapping[str, Any],
    options: TrainingOptions,
    say: Callable[[str], None],
) -> None:
    """Take up the checkpoint that was asked for, if one was.

    Raises:
        TollgateError: there is none, it is broken, or it is of another training or network.
    """
    if options.checkpoint is None and not options.resume:
        return
    try:
        path = options.checkpoint or newest(folder, say)
        checkpoint, tensors = load_checkpoint(path)
        own = tensors_of_rank(tensors, options.processes.rank)
        require_same_training(learner, path, own, checkpoint.facts["run"], run)
    except TollgateError as error:
        if not options.allow_fresh:
            raise
        say(f"ppo: starting anew: {error}")
        return
    learner.restore(own, checkpoint.facts)
    say(f"ppo: resuming from {path.name}, after {checkpoint.step:,} steps")


def require_same_training(
    learner: Learner,
    path: Path,
    tensors: Mapping[str, torch.Tensor],
    then: Mapping[str, Any],
    now: Mapping[str, Any],
) -> None:
    """Refuse a checkpoint of another network, or of other data or settings.

    Raises:
        TollgateError: names the first difference, with both shapes if it is one of shape.
    """
    weights = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
    require_same_shapes(learner.model, weights, path.name)
    if difference := first_difference(dict(then), dict(now), "run"):
        raise TollgateError(
            f"{path.name} must be of this training, was of another {difference}: train as it was, "
            "or add --allow-fresh to start anew"
        )


def newest(folder: Path, say: Callable[[str], None]) -> Path:
    """The newest valid checkpoint; those that were passed over are said.

    Raises:
        TollgateError: there is none.
    """
    found, refused = newest_checkpoint(folder)
    for reason in refused:
        say(f"ppo: warning: passed over a checkpoint: {reason}")
    if found is None:
        raise TollgateError(
            f"--resume must find a checkpoint in {folder}, was none: leave it out, or add "
            "--allow-fresh to start anew"
        )
    return found


def keep(
    learner: Learner,
    folder: Path,
    run: Mapping[str, Any],
    desk: DeskConfig,
    options: TrainingOptions,
    log: TrainingLog,
) -> bool:
    """Save what is due; whether the training was asked to stop, here or in another process."""
    processes, device = options.processes, options.device
    asked = torch.tensor(options.stop.signum is not None, device=device)
    is_stopping = bool(processes.any(asked))
    is_done = learner.iteration == desk.ppo.num_iterations
    is_due = learner.iteration > 0 and learner.iteration % desk.ppo.checkpoint_every == 0
    if (is_due or is_stopping) and not is_done:
        generators = processes.gather(learner.generator.get_state().to(device))
        if processes.is_first:
            now = datetime.now(UTC)
            name = interrupted_name(now) if is_stopping else periodic_name(learner.env_steps)
            states = {f"generator.{rank}": state for rank, state in enumerate(generators)}
            path = save_checkpoint(
                folder, name, learner.env_steps, learner.tensors() | states,
                {**learner.facts(), "run": dict(run)},
            )  # fmt: skip
            log.line(f"ppo: saved {path}")
            remove_old(folder)
    return is_stopping and not is_done


def forget_checkpoints(folder: Path, run: Mapping[str, Any]) -> None:
    """Remove the checkpoints of a training that is done, and of no other."""
    for path in checkpoints(folder):
        facts = path / FACTS
        if facts.is_file() and read_json(facts)["facts"].get("run") == run:
            shutil.rmtree(path)


def tensors_of_rank(tensors: Mapping[str, torch.Tensor], rank: int) -> dict[str, torch.Tensor]:
    """A checkpoint's tensors with the generator of this process.

    Raises:
        TollgateError: fewer processes wrote the checkpoint.
    """
    own = tensors.get(f"generator.{rank}")
    if own is None:
        raise TollgateError(
            "a training must be resumed by as many processes as it had, was process "
            f"{rank + 1} of fewer"
        )
    shared = {k: v for k, v in tensors.items() if not k.startswith("generator")}
    return {**shared, "generator": own}


def interruption(work: Workplace, options: TrainingOptions) -> Interrupted:
    """What an interrupted training says at its end."""
    return Interrupted(
        options.stop.signum or signal.SIGTERM,
        f"training of desk {work.desk.name} was interrupted and saved; go on with "
        f"tollgate ppo --desk {work.desk.name} --resume and the same settings",
    )
