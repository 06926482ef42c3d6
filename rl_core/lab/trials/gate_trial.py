"""gate-trial: markets whose truth is known, from bars to the gate's verdict.

    simulated bars -> dataset -> clone -> PPO -> gate

In a market without signal every champion is a false positive; in one with a planted signal every
champion is a hit. The signal is a reversal of past returns that the trend-following teacher loses
on, so that whoever shows skill has learned it.
"""

import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict

from rl_core.base.processes import die_with
from rl_core.desk import SpotDesk
from rl_core.judging.report import GateReport
from rl_core.lab.trials.known_truths import (
    KINDS,
    KindResult,
    Levels,
    Rate,
    measure_levels,
    try_kind,
)
from rl_core.steps.context import DeskContext
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.options import BuildOptions
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction_validation.step import GATE, read_report
from rl_core.steps.runner import build, run_chain, verdicts

MARKET_BARS = 14_000  # hours; 15% of them are the test span
TEST_BARS = 2_000  # of the series on which the statistics are tried alone
PLANTED_R2 = (0.005, 0.01, 0.02, 0.05, 0.10)
LEAKS = ("no_feature_sees_the_future", "no_label_reaches_another_split")

# a small network that learns fast: 500,000 steps on one core take seconds
SETTINGS = {
    "costs": {"commission_rate": 0.0002, "slippage_rate": 0.0001},
    "model": {"hidden_dim": 32, "head_dim": 32},
    "bc": {"epochs": 4, "label_smoothing": 0.1},
    "ppo": {
        "num_envs": 256,
        "rollout_steps": 32,
        "num_minibatches": 4,
        "iterations": 24,
        "evaluate_every": 8,
        "critic_warmup_iterations": 1,
        "critic_epochs": 1,
        "discount": 0.9,
        "gae_lambda": 0.8,
        "actor_learning_rate": 2e-3,
        "entropy_coefficient": 0.05,
    },
}


class MarketOutcome(BaseModel):
    """What the gate said of a model that was trained on one market."""

    model_config = ConfigDict(frozen=True)

    seed: int
    signal_r2: float
    is_safe: bool
    is_champion: bool
    verdict: str
    failed: list[str]
    sharpe: float | None
    coverage: dict[str, float | None]  # horizon -> of the 90% interval on the test span
    leaks: int  # rows that see the future, or whose target reaches another split


class LevelResult(BaseModel):
    """All markets with one strength of signal."""

    model_config = ConfigDict(frozen=True)

    signal_r2: float
    safe: Rate
    champion: Rate
    undecided: int  # not enough evidence
    failed: dict[str, int]  # check -> in how many markets
    coverage: dict[str, float]  # horizon -> mean over the markets
    leaks: int


class TrialReport(BaseModel):
    """What a run of `gate-trial` found."""

    model_config = ConfigDict(frozen=True)

    markets: list[LevelResult]
    series: list[KindResult]
    levels: Levels | None


Outcome = MarketOutcome | KindResult | Levels


def trial_desk(seed: int, signal_r2: float, bars: int = MARKET_BARS) -> SpotDesk:
    """The desk that a market is traded with, and the market."""
    market = {"bars": bars, "seed": seed, "signal_r2": signal_r2}
    return SpotDesk.model_validate(
        {"name": "trial", "bars": {"random_walk": market, "symbol": "SIM"}, **SETTINGS}
    )


def judge_market(seed: int, signal_r2: float) -> MarketOutcome:
    """Simulate one market, train on it, and ask the gate; nothing is left on disk."""
    with tempfile.TemporaryDirectory(prefix="tollgate-trial-") as name:
        desk = trial_desk(seed, signal_r2).with_settings({"gate.contenders": []})  # judge nothing
        context = DeskContext.open(desk, Path(name))
        run_chain(context, PPO, BuildOptions(device_name="cpu"))
        gate = build(context, GATE)
        found = {check.name: check.figures for check in verdicts(context, OFFLINE_DATASET)}
        leaks = sum(int(found[name]["rows"] or 0) for name in LEAKS)
        return outcome(read_report(gate), seed, signal_r2, leaks)


def outcome(report: GateReport, seed: int, signal_r2: float, leaks: int) -> MarketOutcome:
    """A report in the few words that are counted."""
    return MarketOutcome(
        seed=seed,
        signal_r2=signal_r2,
        is_safe=report.is_safe,
        is_champion=report.is_skilled,
        verdict="" if report.skill is None else report.skill.verdict,
        failed=[check.name for check in report.all_checks if not check.passed],
        sharpe=report.performance["policy"].sharpe,
        coverage={horizon: each.test_coverage for horizon, each in report.intervals.items()},
        leaks=leaks,
    )


def run_trial(
    markets: int,
    planted_markets: int,
    series: int,
    processes: int,
    tell: Callable[[str, int, int], None],
) -> TrialReport:
    """Judge many markets and many series.

    Args:
        markets: without signal.
        planted_markets: for each strength of signal.
        series: of each kind, for the statistics alone; 0 leaves them out.
        processes: side by side, one thread each.
        tell: called with what is being done, how much of it is done and how much there is.
    """
    counts = {0.0: markets, **dict.fromkeys(PLANTED_R2, planted_markets)}
    jobs = [(seed, r2) for r2, count in counts.items() for seed in range(count)]
    outcomes: list[MarketOutcome] = []
    kinds: dict[str, KindResult] = {}
    levels: Levels | None = None
    context = get_context("spawn")
    with ProcessPoolExecutor(
        processes, context, initializer=_one_thread, initargs=(os.getpid(),)
    ) as pool:
        waiting: dict[Future[Outcome], str] = {}

        def start(what: str, work: Callable[..., Outcome], *arguments: object) -> None:
            waiting[pool.submit(work, *arguments)] = what

        for job in jobs:
            start("markets", judge_market, *job)
        if series:
            for kind in KINDS:
                start("series", try_kind, kind.name, series, TEST_BARS)
            start("series", measure_levels, series)
        try:
            for done, future in enumerate(as_completed(waiting), start=1):
                found = future.result()
                match found:
                    case MarketOutcome():
                        outcomes.append(found)
                    case KindResult():
                        kinds[found.kind] = found
                    case Levels():
                        levels = found
                tell(waiting[future], done, len(waiting))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return TrialReport(
        markets=[level(outcomes, r2) for r2, count in counts.items() if count],
        series=[kinds[kind.name] for kind in KINDS if kind.name in kinds],
        levels=levels,
    )


def level(outcomes: Sequence[MarketOutcome], signal_r2: float) -> LevelResult:
    """The markets of one strength of signal, counted."""
    mine = [each for each in outcomes if each.signal_r2 == signal_r2]
    failed = [name for each in mine for name in each.failed]
    horizons = mine[0].coverage
    covered = {
        horizon: [value for each in mine if (value := each.coverage.get(horizon)) is not None]
        for horizon in horizons
    }
    return LevelResult(
        signal_r2=signal_r2,
        safe=Rate.of(sum(each.is_safe for each in mine), len(mine)),
        champion=Rate.of(sum(each.is_champion for each in mine), len(mine)),
        undecided=sum(each.verdict == "not enough evidence" for each in mine),
        failed={name: failed.count(name) for name in sorted(set(failed))},
        coverage={horizon: sum(v) / len(v) for horizon, v in covered.items() if v},
        leaks=sum(each.leaks for each in mine),
    )


def _one_thread(parent: int) -> None:
    """Processes share the cores among them, and end with the one that started them."""
    die_with(parent)
    torch.set_num_threads(1)
