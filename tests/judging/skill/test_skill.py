"""The skill tier on evidence whose truth is known: what passes, what fails, what is undecided."""

from dataclasses import replace

import numpy as np
import pytest

from rl_core.base.errors import TollgateError
from rl_core.judging.figures import ForecastSkill, SkillReport
from rl_core.judging.settings import SKILL_CHECKS, GateConfig, SkillConfig
from rl_core.judging.skill.forecast import best_of
from rl_core.judging.skill.tier import SkillEvidence, judge_skill
from rl_core.judging.statistics.sharpe import bootstrap_sharpes
from rl_core.lab.trials.known_truths import KINDS, Rate, evidence_of, measure_levels, try_kind

KIND = {kind.name: kind for kind in KINDS}
BARS = 2000
HONEST = evidence_of(KIND["honest, R2 = 5%"], seed=1, test_bars=BARS)
assert HONEST.forecasts.predictions is not None
PREDICTIONS, TARGETS = HONEST.forecasts.predictions, HONEST.forecasts.targets
RETURNS = dict(HONEST.trading.returns)


def judged(evidence: SkillEvidence, **settings: object) -> SkillReport:
    skill = SkillConfig.model_validate({"bootstrap_replications": 499, **settings})
    report = judge_skill(evidence, GateConfig(skill=skill))
    assert tuple(check.name for check in report.checks) == tuple(SKILL_CHECKS)
    return report


def failed(report: SkillReport) -> list[str]:
    return [check.name for check in report.checks if not check.passed]


def foreseen(**changes: object) -> SkillEvidence:
    """The honest evidence with other forecasts."""
    return replace(HONEST, forecasts=replace(HONEST.forecasts, **changes))  # type: ignore[arg-type]


def traded(**changes: object) -> SkillEvidence:
    """The honest evidence with other accounts, or come by otherwise."""
    return replace(HONEST, trading=replace(HONEST.trading, **changes))  # type: ignore[arg-type]


def with_account(**accounts: np.ndarray) -> SkillEvidence:
    return traded(returns={**RETURNS, **accounts})


def test_an_honest_forecast_that_trades_well_is_skilled() -> None:
    report = judged(HONEST)
    assert report.verdict == "skilled"
    assert report.is_skilled
    assert report.horizon == "1h"


FAULTS = {
    "20 times too loud": (
        foreseen(predictions=20 * PREDICTIONS),
        ["forecast_beats_zero", "forecast_beats_train_mean", "forecast_is_calibrated"],
    ),
    "the account of the teacher": (
        with_account(policy=RETURNS["teacher"]),
        ["beats_the_teacher", "beats_the_benchmarks", "sharpe_survives_deflation"],
    ),
    "the account of who holds": (
        with_account(policy=RETURNS["buy_and_hold"]),
        ["beats_the_teacher", "beats_the_benchmarks", "sharpe_survives_deflation"],
    ),
    "the best of many tries": (
        traded(trials=1000, trial_variance=0.01),
        ["sharpe_survives_deflation"],
    ),
    "no heads": (foreseen(predictions=None), list(SKILL_CHECKS)[:4]),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_found_by_its_checks(fault: str) -> None:
    evidence, expected = FAULTS[fault]
    report = judged(evidence)
    assert failed(report) == expected
    assert report.verdict == "no skill shown"


def test_forecasts_of_the_past_do_not_count_as_forecasts() -> None:
    """The target of a day ago, known and useless: it ranks nothing that is to come."""
    late = np.roll(TARGETS, 48, axis=0)
    assert "forecast_ranks_returns" in failed(judged(foreseen(predictions=late)))


def test_too_few_targets_are_not_enough_evidence_and_no_pass() -> None:
    short = SkillEvidence(
        replace(HONEST.forecasts, predictions=PREDICTIONS[:40], targets=TARGETS[:40]),
        replace(HONEST.trading, returns={n: r[:39] for n, r in RETURNS.items()}, candidates=None),
    )
    report = judged(short)
    assert report.verdict == "not enough evidence"
    undecided = [check.name for check in report.checks if check.is_undecided]
    assert undecided == list(SKILL_CHECKS)


def test_unknown_targets_are_left_out() -> None:
    targets = TARGETS.copy()
    targets[::2] = np.nan
    report = judged(foreseen(targets=targets))
    assert report.forecasts[0].known_targets == BARS // 2
    targets[:] = np.nan
    nothing = judged(foreseen(targets=targets))
    assert nothing.verdict == "not enough evidence"


def test_a_champion_that_is_better_is_not_replaced() -> None:
    noise = np.random.default_rng(0).normal(0, 1e-4, BARS - 1)
    better = RETURNS["policy"] + 0.002 + noise
    against = with_account(champion=better)
    assert failed(judged(against)) == ["holds_against_the_champion"]
    alike = with_account(champion=RETURNS["policy"])
    assert failed(judged(alike)) == []
    assert failed(judged(alike, champion_rule="better")) == ["holds_against_the_champion"]


def test_a_challenger_that_may_be_much_worse_is_not_let_through() -> None:
    """Not significantly worse is not enough: too little evidence is never a pass."""
    rng = np.random.default_rng(3)
    short = slice(0, 300)
    own = RETURNS["policy"][short]
    returns = {n: r[short] for n, r in RETURNS.items()}
    other = own.mean() + rng.permutation(own - own.mean())  # the same ratio, nothing in common
    report = judged(traded(returns={**returns, "champion": other}))
    assert "holds_against_the_champion" in failed(report)


def test_what_is_not_known_of_the_candidates_is_not_a_pass() -> None:
    report = judged(traded(candidates=None))
    assert failed(report) == ["selection_is_not_overfit"]
    assert report.verdict == "not enough evidence"


def test_without_two_ratios_trials_are_taken_to_vary_as_chance_does() -> None:
    """Ten trials of 1,999 bars without skill: the best has 1.54 / sqrt(1,999) a bar."""
    checks = {c.name: c for c in judged(traded(trials=10, trial_variance=None)).checks}
    annual = np.sqrt(HONEST.trading.bars_per_year)
    lucky = 1.5746 / np.sqrt(1999) * annual
    assert f"of which {lucky:.2f} is what the best of 10 trials" in (
        checks["sharpe_survives_deflation"].detail
    )


def test_a_return_that_is_not_finite_is_an_error_and_no_rival_beaten() -> None:
    broken = RETURNS["buy_and_hold"].copy()
    broken[7] = np.nan
    with pytest.raises(TollgateError, match="returns must be finite"):
        judged(with_account(buy_and_hold=broken))


def test_a_horizon_that_ranks_is_preferred_to_one_that_passes_more_of_the_rest() -> None:
    calm, ranks = (
        ForecastSkill(
            horizon=horizon, known_targets=2000, independent_targets=2000, is_enough=True,
            passed=passed,
        )
        for horizon, passed in (
            ("1h", (False, True, True, True)), ("24h", (True, False, False, True)),
        )
    )  # fmt: skip
    short = ForecastSkill(horizon="5d", known_targets=9, independent_targets=1)
    assert best_of([calm, ranks, short]) == ranks
    assert best_of([short, calm]) == calm
    assert best_of([]) is None


@pytest.mark.parametrize("kind", ["noise, account that knows", "honest, account at random"])
def test_where_one_half_has_nothing_to_object_to_the_other_holds_the_rate(kind: str) -> None:
    assert try_kind(kind, 100, BARS).tier_passes.hits <= 10  # 5%, and chance


def test_candidates_picked_for_their_luck_are_refused() -> None:
    rng = np.random.default_rng(1)
    common = rng.normal(-0.001, 0.01, (1600, 1))
    lucky = common + rng.normal(0, 0.01, (1600, 12))
    lucky[:800, 0] += 0.02  # the best by far in one half, the worst in the other
    lucky[800:, 0] -= 0.02
    report = judged(traded(candidates=lucky))
    assert failed(report) == ["selection_is_not_overfit"]
    assert failed(judged(traded(candidates=lucky[:, :1]))) == []


def test_a_check_that_only_warns_keeps_nobody_from_being_champion() -> None:
    config = GateConfig(severity={"sharpe_survives_deflation": "warn"})
    deflated = traded(trials=1000, trial_variance=0.01)
    assert judge_skill(deflated, config).is_skilled


def test_too_little_evidence_is_not_forgiven_by_any_setting() -> None:
    skill = SkillConfig(min_test_bars=5000, min_independent_targets=4000)
    lenient = GateConfig(skill=skill, severity=dict.fromkeys(SKILL_CHECKS, "warn"))
    assert judge_skill(HONEST, lenient).verdict == "not enough evidence"
    with pytest.raises(ValueError, match="severity must leave lineage_is_complete at block"):
        GateConfig(severity={"lineage_is_complete": "warn"})


def test_without_a_position_there_is_no_skill() -> None:
    flat = with_account(policy=np.zeros(BARS - 1))
    assert "sharpe_survives_deflation" in failed(judged(flat))


def test_the_same_evidence_has_the_same_verdict() -> None:
    assert judged(HONEST) == judged(HONEST)


# the table of error rates, small: the full one is `make gate-trial`


def test_noise_passes_at_most_five_percent() -> None:
    found = try_kind("noise", 100, BARS)
    assert found.tier_passes.rate <= 0.05
    assert found.tier_passes.high <= 0.08
    assert found.forecasts_pass.rate <= 0.05


@pytest.mark.parametrize(
    "cheat", ["constant", "constant + dither", "sign flipped", "20 times too loud"]
)
def test_cheats_do_not_pass(cheat: str) -> None:
    assert try_kind(cheat, 60, BARS).tier_passes.hits == 0


def test_an_honest_forecast_of_one_percent_passes_the_forecast_part() -> None:
    assert try_kind("honest, R2 = 1%", 100, BARS).forecasts_pass.rate >= 0.70


def test_single_statistics_keep_their_level() -> None:
    levels = measure_levels(150)
    assert levels.rank_ic_24h.low <= 0.07
    assert levels.rank_ic_24h.high >= 0.03
    assert 0.35 <= levels.overfitting_noise <= 0.65
    assert levels.overfitting_planted <= 0.05


def test_a_rate_has_an_exact_interval() -> None:
    """Clopper and Pearson: none of 500 leaves 1 - (0.025)^(1/500) open."""
    rate = Rate.of(0, 500)
    assert (rate.rate, rate.low) == (0.0, 0.0)
    assert rate.high == pytest.approx(1 - 0.025 ** (1 / 500))


def test_beating_one_benchmark_of_two_is_not_enough() -> None:
    own = with_account(equal_weight=RETURNS["policy"])  # beats holding, and not this one
    assert failed(judged(own)) == ["beats_the_benchmarks"]


def test_the_interval_of_a_sharpe_ratio_is_annual_and_around_it() -> None:
    low, high = judged(HONEST).sharpe_intervals["policy"]
    own = RETURNS["policy"]
    assert low < own.mean() / own.std() * np.sqrt(HONEST.trading.bars_per_year) < high
    drawn = bootstrap_sharpes(np.column_stack(list(RETURNS.values())), 499, 0).interval(0, 0.95)
    annual = np.sqrt(HONEST.trading.bars_per_year)
    assert (low, high) == pytest.approx((drawn[0] * annual, drawn[1] * annual))


def test_a_horizon_that_was_never_tested_passes_nothing() -> None:
    untested = ForecastSkill(horizon="1h", known_targets=0, independent_targets=0)
    assert untested.passed == (False,) * 4


def test_a_constant_forecast_has_no_skill_and_does_not_hide_that_of_another_horizon() -> None:
    constant = PREDICTIONS.copy()
    constant[:, 1] = 0.001
    report = judged(foreseen(predictions=constant))
    assert (report.horizon, report.verdict) == ("1h", "skilled")
    report = judged(foreseen(predictions=np.full_like(PREDICTIONS, 0.001)))
    assert failed(report) == list(SKILL_CHECKS)[:4]


def test_selection_is_undecided_with_fewer_than_two_rows_a_block() -> None:
    for rows, is_undecided in ((31, True), (32, False)):  # 16 blocks
        returns = np.random.default_rng(0).normal(0.1, 0.01, (rows, 2))
        assert judged(traded(candidates=returns)).checks[-1].is_undecided == is_undecided


def test_two_candidates_whose_luck_turns_are_an_overfit_selection() -> None:
    up, down = [1.0, 3.0] * 16, [-1.0, -3.0] * 16
    lucky = np.array([up + down, down + up]).T
    assert not judged(traded(candidates=lucky)).checks[-1].passed
