"""A training command's work: build one step, tell the terminal and the Dagster run."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rl_core.base.errors import TollgateError
from rl_core.base.shutdown import stop_requests
from rl_core.cli import show
from rl_core.cli.output import emit
from rl_core.cli.pipes import Reporter, reporter
from rl_core.learning.settings import Verbosity
from rl_core.steps.context import DeskContext, Opened
from rl_core.steps.options import BuildOptions
from rl_core.steps.runner import build, require_inputs_sound, run_chain, verdicts
from rl_core.steps.step import Step


def train(
    name: str,
    desk: str,
    settings: dict[str, Any],
    *,
    cleared: Sequence[str] = (),
    device: str = "auto",
    verbosity: str = "normal",
    resume: bool = False,
    checkpoint: Path | None = None,
    allow_fresh: bool = False,
    max_gpu_gb: tuple[float, float] = (45.0, 20.0),
    multi_gpu: bool = False,
    as_json: bool = False,
) -> None:
    """Build a trained step with some settings replaced, alone or with other processes.

    What it stands on and was never built is built first; what is there is only checked.
    """
    context = DeskContext.open(desk).with_overrides(settings, cleared)
    # torch takes a second: a mistake in the settings is told before it
    from rl_core.learning.hardware.devices import pick_device
    from rl_core.learning.hardware.distributed import is_launched, joined_processes
    from rl_core.learning.hardware.memory import keep_freed_memory
    from rl_core.steps.chain import BY_NAME

    step = BY_NAME[name]
    if multi_gpu and not is_launched():
        launch_processes()
    where = pick_device(device)
    keep_freed_memory()
    with stop_requests() as stop, joined_processes(where) as processes:
        options = BuildOptions(
            device_name=device,
            verbosity=Verbosity(verbosity),
            resume=resume,
            checkpoint=checkpoint,
            allow_fresh=allow_fresh,
            max_gpu_gb=max_gpu_gb,
            joined=processes,
            stop=stop,
        )
        if processes.count > 1 and not step.takes_processes:
            raise TollgateError(f"{name} must run in one process, was started in {processes.count}")
        if processes.is_first:
            with reporter() as progress:
                opened = _build(context, step, options)
                _report(progress, opened)
            _show(context, step, opened, as_json)
        else:
            _follow(context, step, options)


def _build(context: DeskContext, step: Step[Any], options: BuildOptions) -> Opened[Any]:
    if options.processes.count == 1:
        for ancestor in step.ancestors:
            if not context.artifacts.has(ancestor.name):
                run_chain(context, ancestor, options, only_missing=True)
    return build(context, step, options)


def _follow(context: DeskContext, step: Step[Any], options: BuildOptions) -> None:
    """Train beside the first process, and write nothing."""
    from rl_core.steps.context import Task
    from rl_core.steps.ppo_policy.session import run_ppo

    require_inputs_sound(context, step)
    run_ppo(Task(context, step, context.inputs_of(step), Path(), options, {}))


def _report(progress: Reporter, opened: Opened[Any]) -> None:
    figures = {**opened.facts.model_dump(mode="json"), **opened.seal.timings}
    plots = sorted(opened.path.glob("*.png"))
    progress.materialized(figures, plots, opened.content)


def _show(context: DeskContext, step: Step[Any], opened: Opened[Any], as_json: bool) -> None:
    if "report.md" in opened.seal.files and not as_json:
        show.markdown(opened.read("report.md").decode())
        return
    if "report.json" in opened.seal.files:
        emit(opened.read_json("report.json"), as_json, show.settings)
        return
    checks = [check.model_dump() for check in verdicts(context, step)]
    emit(show.artifact_record(opened) | {"checks": checks}, as_json, show.trained)


def launch_processes() -> None:
    """Become torchrun, which starts this command once a GPU.

    Raises:
        TollgateError: there are fewer than two GPUs.
    """
    import torch

    count = torch.cuda.device_count()
    if count < 2:
        raise TollgateError(
            f"--multi-gpu must find at least 2 GPUs, was {count}; processes on CPUs are started "
            "with torchrun --nproc-per-node 2 -m rl_core.cli ppo ... --device cpu"
        )
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(count)]
    os.execv(sys.executable, [sys.executable, *launcher, "-m", "rl_core.cli", *sys.argv[1:]])
