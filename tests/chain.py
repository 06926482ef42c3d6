"""What tests of the chain share: running it, reading what it sealed, hearing what it says."""

import logging
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd

from rl_core.base.logs import PeopleFormatter
from rl_core.desk import DeskConfig
from rl_core.features.prepare import PreparedMarket
from rl_core.judging.report import GateReport
from rl_core.lab.markets.spot import simulate_bars
from rl_core.learning.models.policy_file import Policy, load_policy
from rl_core.steps import reading
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext
from rl_core.steps.deployed_model.deploy import deploy as deploy_policy
from rl_core.steps.deployed_model.step import DEPLOYED
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.options import BuildOptions
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.prediction_validation.step import read_report as report_of
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.runner import build
from rl_core.steps.runner import run_chain as run_steps
from rl_core.steps.step import Step
from rl_core.store.models import Version

OPTIONS = BuildOptions(device_name="cpu")


def bars_file(folder: Path) -> Path:
    path = folder / "bars.parquet"
    simulate_bars(3000, seed=7, signal_r2=0.05).to_parquet(path, index=False)
    return path


def run_chain(desk: DeskConfig, root: Path) -> DeskContext:
    """From the source to the gate's report."""
    context = DeskContext.open(desk, root)
    run_steps(context, PPO, OPTIONS)
    build(context, GATE)
    return context


def deploy(context: DeskContext) -> Version:
    return deploy_policy(context, DEPLOYED)


def changed(context: DeskContext, **settings: object) -> DeskContext:
    """The same desk as a command line would change it, named as in `ppo__iterations`."""
    named = {name.replace("__", "."): value for name, value in settings.items()}
    return context.with_overrides(named)


def edited(context: DeskContext, settings: dict[str, Any]) -> DeskContext:
    """The same desk after its file was edited."""
    return DeskContext.open(context.desk.with_settings(settings), context.root)


def read_report(context: DeskContext) -> GateReport:
    return report_of(context.open_artifact(GATE))


def read_policy(context: DeskContext, step: Step[Any] = PPO) -> Policy:
    return load_policy(context.open_artifact(step), context.kind.state.names)


def served_policy(context: DeskContext) -> Policy:
    return load_policy(context.models.served("shadow").folder, context.kind.state.names)


def read_dataset(context: DeskContext, step: Step[Any] = OFFLINE_DATASET) -> pd.DataFrame:
    return reading.read_dataset(context.open_artifact(step))


def read_market(context: DeskContext) -> PreparedMarket:
    thresholds = reading.read_thresholds(context.open_artifact(REGIMES))
    return reading.read_market(context, context.open_artifact(BARS), thresholds)


def file_of(context: DeskContext, step: Step[Any], name: str) -> Path:
    """Where a file of the current artefact lies, for a test that breaks it."""
    return context.open_artifact(step).path / name


@contextmanager
def heard() -> Generator[list[str]]:
    """What the library logs in the block, as a person reads it."""
    lines: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(PeopleFormatter().format(record))

    logger, listener = logging.getLogger("rl_core"), Listener()
    before = logger.level
    logger.addHandler(listener)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.removeHandler(listener)
        logger.setLevel(before)
