"""Seconds of the whole gate, and of its statistics alone, by the length of the test span.

Run by `make bench`. The policy is trained for one iteration: what it decides does not matter here.
Rounds alternate between the lengths.
"""

import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from rl_core.cli.show import table
from rl_core.judging.settings import GateConfig
from rl_core.judging.skill.tier import judge_skill
from rl_core.lab.trials.gate_trial import trial_desk
from rl_core.lab.trials.known_truths import KINDS, evidence_of
from rl_core.steps.context import DeskContext
from rl_core.steps.options import BuildOptions
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.runner import build, run_chain

TEST_BARS = (2_000, 5_000, 20_000)


def prepared(folder: Path, test_bars: int) -> DeskContext:
    """A chain whose test span is 15% of its bars."""
    desk = trial_desk(1, 0.05, bars=round(test_bars / 0.15))
    short = desk.with_settings({"bc.epochs": 1, "ppo.iterations": 1})
    context = DeskContext.open(short, folder / str(test_bars))
    run_chain(context, PPO, BuildOptions(device_name="cpu"))
    return context


def main(rounds: Annotated[int, typer.Option(min=1)] = 3) -> None:
    """Measure and print a table."""
    with tempfile.TemporaryDirectory() as name:
        contexts = {bars: prepared(Path(name), bars) for bars in TEST_BARS}
        whole: dict[int, list[float]] = {bars: [] for bars in TEST_BARS}
        alone: dict[int, list[float]] = {bars: [] for bars in TEST_BARS}
        for _ in range(rounds):
            for bars, context in contexts.items():
                started = time.perf_counter()
                build(context, GATE)
                whole[bars].append(time.perf_counter() - started)
                evidence = evidence_of(KINDS[-1], 0, bars)
                started = time.perf_counter()
                judge_skill(evidence, GateConfig())
                alone[bars].append(time.perf_counter() - started)
    table(
        f"seconds of the gate, medians of {rounds} alternating rounds",
        ["test bars", "whole gate", "slowest round", "statistics of skill alone"],
        [[b, median(whole[b]), max(whole[b]), median(alone[b])] for b in TEST_BARS],
    )


if __name__ == "__main__":
    typer.run(main)
