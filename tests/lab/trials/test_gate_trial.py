"""The gate's error rates. Slow: `make gate-trial` is the full run, whose output docs/ holds."""

from pathlib import Path

import pytest

from rl_core.base.strict_yaml import read_yaml
from rl_core.desk import PROJECT_ROOT, parse_desk
from rl_core.lab.trials.gate_trial import SETTINGS, judge_market, trial_desk
from rl_core.lab.trials.known_truths import measure_levels, try_kind
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext
from rl_core.steps.runner import build
from rl_core.steps.walk_forward.step import WALK_FORWARD, read_report
from tests.chain import OPTIONS

SERIES = 500
MARKETS = 6


def test_the_example_is_a_market_of_the_trial() -> None:
    """The desk that README lets people watch becoming champion is one that was measured."""
    settings = read_yaml(PROJECT_ROOT / "examples" / "planted_spot.yaml")
    example = parse_desk({**settings, "name": "trial"}, "the example").resolved()
    measured = trial_desk(seed=1, signal_r2=0.05).resolved()
    for section in ("costs", "model", "bc", "ppo", "splits", "dataset", "gate"):
        assert example[section] == measured[section], section
    assert example["bars"]["random_walk"] == measured["bars"]["random_walk"]
    assert set(SETTINGS) == {"costs", "model", "bc", "ppo"}


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    ["noise", "past returns, reversed", "noise, account that knows", "honest, account at random"],
)
def test_no_kind_without_skill_passes_more_than_five_percent(kind: str) -> None:
    found = try_kind(kind, SERIES, 2000).tier_passes
    assert found.rate <= 0.05
    assert found.high <= 0.08


@pytest.mark.slow
@pytest.mark.parametrize(
    "cheat", ["constant", "constant + dither", "sign flipped", "20 times too loud"]
)
def test_cheats_pass_less_than_one_percent(cheat: str) -> None:
    found = try_kind(cheat, SERIES, 2000).tier_passes
    assert found.rate < 0.01
    assert found.high < 0.01


@pytest.mark.slow
def test_honest_forecasts_of_one_percent_pass_at_least_seventy_percent() -> None:
    assert try_kind("honest, R2 = 1%", SERIES, 2000).forecasts_pass.rate >= 0.70


@pytest.mark.slow
def test_single_statistics_over_many_series() -> None:
    levels = measure_levels(2000)
    assert 0.03 <= levels.rank_ic_24h.rate <= 0.07
    assert 0.35 <= levels.overfitting_noise <= 0.65
    assert levels.overfitting_planted <= 0.05


@pytest.mark.slow
def test_a_planted_signal_of_five_percent_becomes_champion_and_noise_does_not() -> None:
    planted = [judge_market(seed, 0.05) for seed in range(MARKETS)]
    noise = [judge_market(seed, 0.0) for seed in range(MARKETS)]
    assert sum(each.is_champion for each in planted) >= 0.8 * MARKETS
    assert sum(each.is_champion for each in noise) == 0
    assert sum(each.leaks for each in planted + noise) == 0
    held = [value for each in planted + noise if (value := each.coverage["1h"]) is not None]
    assert 0.88 <= sum(held) / len(held) <= 0.92


@pytest.mark.slow
def test_intervals_hold_what_they_promise_when_walked_forward(tmp_path: Path) -> None:
    """Four folds of 270 days: 1,080 targets of a day that do not overlap, so 0.9% of error."""
    desk = trial_desk(seed=5, signal_r2=0.05, bars=41_000).with_settings(
        {"ppo.iterations": 1, "walk_forward.test": "270d", "walk_forward.seeds": [1]}
    )
    work = DeskContext.open(desk, tmp_path)
    build(work, BARS)
    report = read_report(build(work, WALK_FORWARD, OPTIONS))
    assert len(report.folds) == 4
    assert report.overlapping_labels == 0
    for horizon in ("1h", "24h"):
        assert 0.88 <= report.coverage[horizon] <= 0.92
