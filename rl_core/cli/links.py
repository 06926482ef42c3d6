"""What the commands share: which function builds which link, and how training is run."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError
from rl_core.base.progress import reporter
from rl_core.base.shutdown import stop_requests
from rl_core.cli import show
from rl_core.cli.output import emit
from rl_core.desk import load_desk
from rl_core.learning.hardware.distributed import is_launched, joined_processes
from rl_core.learning.hardware.memory import keep_freed_memory
from rl_core.learning.ppo.reporting import Verbosity
from rl_core.steps import bc_policy, ppo_policy, walk_forward
from rl_core.steps.backtest_history import build_backtest_history
from rl_core.steps.bars import build_bars
from rl_core.steps.bc_policy import build_bc_policy
from rl_core.steps.context import Workplace
from rl_core.steps.offline_dataset import build_offline_dataset
from rl_core.steps.ppo_policy.checkpoints import TrainingOptions
from rl_core.steps.ppo_policy.session import run_ppo
from rl_core.steps.ppo_policy.step import build_ppo_policy
from rl_core.steps.prediction_validation.step import build_prediction_validation
from rl_core.steps.regime_dataset import build_regime_dataset
from rl_core.steps.soundness import BEFORE_TRAINING, require_sound
from rl_core.store.artifacts import Artifact

BUILDERS: dict[str, Callable[[Workplace], Artifact]] = {
    "bars": build_bars,
    "backtest_history": build_backtest_history,
    "offline_dataset": build_offline_dataset,
    "regime_dataset": build_regime_dataset,
    "prediction_validation": build_prediction_validation,
}


def prepare_inputs(work: Workplace, say: Callable[[str], None]) -> None:
    """Build what a training needs and was never built; what is there is only checked.

    Raises:
        TollgateError: a check failed that stops the chain in Dagster too.
    """
    for link in BEFORE_TRAINING:
        if not work.lake.has(link):
            say(f"{link} of desk {work.desk.name} was never built: building it first")
            BUILDERS[link](work)
        require_sound(work, [link])


def train_clone(desk: str, settings: Mapping[str, Any], device: str, as_json: bool) -> None:
    """Build `bc_policy` with some settings changed."""
    work = Workplace.open(load_desk(desk).with_settings(dict(settings)))
    where = pick_device(device)
    keep_freed_memory()

    def build(say: Callable[[str], None]) -> Artifact:
        prepare_inputs(work, say)
        return build_bc_policy(work, where, say)

    report_link(work, build, bc_policy.run_checks, as_json)


def train_policy(
    desk: str,
    settings: Mapping[str, Any],
    *,
    cleared: Sequence[str],
    device: str,
    verbosity: str,
    resume: bool,
    checkpoint: Path | None,
    allow_fresh: bool,
    max_gpu_gb: tuple[float, float],
    multi_gpu: bool,
    as_json: bool,
) -> None:
    """Build `ppo_policy` with some settings changed, alone or with other processes."""
    work = Workplace.open(load_desk(desk).with_settings(dict(settings), cleared))
    if multi_gpu and not is_launched():
        launch_processes()
    where = pick_device(device)
    keep_freed_memory()
    with stop_requests() as stop, joined_processes(where) as processes:
        options = TrainingOptions(
            device=where,
            verbosity=Verbosity(verbosity),
            resume=resume,
            checkpoint=checkpoint,
            allow_fresh=allow_fresh,
            max_gpu_gb=max_gpu_gb,
            processes=processes,
            stop=stop,
        )
        if processes.is_first:
            report_link(
                work,
                lambda say: build_policy(work, options, say),
                ppo_policy.run_checks,
                as_json,
            )
        else:
            run_ppo(work, options, lambda _: None)


def build_policy(work: Workplace, options: TrainingOptions, say: Callable[[str], None]) -> Artifact:
    """Build `ppo_policy`, and first what it starts from, if that was never built."""
    if options.processes.count == 1:
        prepare_inputs(work, say)
        if not work.lake.has("bc_policy"):
            say(f"bc_policy of desk {work.desk.name} was never built: building it first")
            build_bc_policy(work, options.device, say)
    return build_ppo_policy(work, options, say)


def walk_desk_forward(desk: str, settings: Mapping[str, Any], device: str, as_json: bool) -> None:
    """Build `walk_forward` with some settings changed."""
    work = Workplace.open(load_desk(desk).with_settings(dict(settings)))
    where = pick_device(device)
    keep_freed_memory()

    def build(say: Callable[[str], None]) -> Artifact:
        if not work.lake.has("bars"):
            say(f"bars of desk {desk} were never built: building them first")
            build_bars(work)
        return walk_forward.build_walk_forward(work, where, say)

    with reporter() as progress:
        artifact = build(progress.line)
        plots = sorted((work.lake.directory / artifact.name).glob("*.png"))
        progress.materialized(artifact.metadata, plots, artifact.content)
    report = walk_forward.read_report(work)
    emit(
        report.model_dump(mode="json"),
        as_json,
        lambda _: show.markdown(walk_forward.markdown(report)),
    )


def report_link(
    work: Workplace,
    build: Callable[[Callable[[str], None]], Artifact],
    run_checks: Callable[[Workplace], list[Check]],
    as_json: bool,
) -> None:
    """Train a link; tell the terminal, with a verdict, and Dagster if it asked."""
    with reporter() as progress:
        artifact = build(progress.line)
        plots = sorted((work.lake.directory / artifact.name).glob("*.png"))
        progress.materialized({**artifact.metadata, **artifact.timings}, plots, artifact.content)
    checks = [check.model_dump() for check in run_checks(work)]
    emit(artifact.model_dump(exclude={"config"}) | {"checks": checks}, as_json, show.trained)


def launch_processes() -> None:
    """Become torchrun, which starts this command once a GPU.

    Raises:
        TollgateError: there are fewer than two GPUs.
    """
    count = torch.cuda.device_count()
    if count < 2:
        raise TollgateError(
            f"--multi-gpu must find at least 2 GPUs, was {count}; processes on CPUs are started "
            "with torchrun --nproc-per-node 2 -m rl_core.cli ppo ... --device cpu"
        )
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    os.execv(sys.executable, [sys.executable, *launcher, "-m", "rl_core.cli", *sys.argv[1:]])


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA if there is one, of this process's rank.

    Raises:
        TollgateError: there is no such device.
    """
    rank = os.environ.get("LOCAL_RANK", "0")
    is_gpu = name == "cuda" or (name == "auto" and torch.cuda.is_available())
    wanted = f"cuda:{rank}" if is_gpu else "cpu" if name == "auto" else name
    try:
        return torch.zeros(1, device=wanted).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TollgateError(
            f"--device must be a device of this machine, was {name}: {reason}"
        ) from None
