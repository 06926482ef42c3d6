"""The skill tier: what separates a champion from a model that was lucky.

Two parts, and a champion needs both, so the tier's false-positive rate is at most that of the part
whose null hypothesis holds (an intersection-union test, Berger 1982), which is `significance`:

- Forecasts. At one horizon at least, the rank correlation passes at `significance` divided by the
  number of horizons (Bonferroni: forecasts without information pass any horizon at most at
  `significance`), and at the same horizon the forecast has a smaller squared error than zero and
  than the training mean, and is not out of scale. Those further tests can only refuse more, so they
  may be held to the milder `magnitude_significance`.
- Trading. The Sharpe ratio survives deflation by the trials that were made, is above those of the
  teacher and of every benchmark, and is held against the champion; each at `significance`.

Shapes: S bars of the test span, H horizons, T bars and N candidates of the selection.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rl_core.checks import Check
from rl_core.evaluation.accounts import BENCHMARKS, CHAMPION, POLICY, TEACHER, TITLES
from rl_core.evaluation.config import SKILL_CHECKS, GateConfig, SkillConfig
from rl_core.evaluation.statistics.forecasts import calibration_slope, diebold_mariano, rank_ic
from rl_core.evaluation.statistics.selection import Selection, selection_risk
from rl_core.evaluation.statistics.sharpe import (
    SharpeBootstrap,
    bootstrap_sharpes,
    deflated_sharpe,
    expected_maximum,
    moments,
    sharpe_of,
)

Array = NDArray[np.float64]
SkillVerdict = Literal["skilled", "no skill shown", "not enough evidence"]


@dataclass(frozen=True)
class SkillEvidence:
    """What the skill tier looks at; all of it out of sample."""

    horizons: tuple[str, ...]
    overlap_bars: tuple[int, ...]  # of each horizon's targets
    predictions: Array | None  # (S, H) fractions; None if the heads are untrained
    targets: Array  # (S, H), NaN is unknown
    train_means: Array  # (H,) of the training targets
    returns: Mapping[str, Array]  # account -> (S - 1,) per bar, all costs paid
    bars_per_year: float
    trials: int  # policies trained for this desk so far, this one included
    trial_variance: float  # of their Sharpe ratios per bar
    candidates: Array | None  # (T, N) validation returns of those it was picked from


class ForecastSkill(BaseModel):
    """One horizon's tests; a figure is None where there is too little to tell."""

    model_config = ConfigDict(frozen=True)

    horizon: str
    known_targets: int
    independent_targets: int  # known targets / bars that overlap
    rank_ic: float | None = None
    rank_ic_p: float | None = None
    gain_on_zero: float | None = None  # R2 against the zero forecast
    gain_on_zero_p: float | None = None
    gain_on_mean: float | None = None  # R2 against the train mean
    gain_on_mean_p: float | None = None
    slope: float | None = None
    slope_low: float | None = None
    slope_high: float | None = None
    passed: tuple[bool, bool, bool, bool] = (False, False, False, False)  # in the checks' order
    is_enough: bool = False


class SkillReport(BaseModel):
    """The tier's verdict with all its figures."""

    model_config = ConfigDict(frozen=True)

    verdict: SkillVerdict
    checks: list[Check]
    horizon: str | None  # whose forecasts the checks speak of
    forecasts: list[ForecastSkill]
    trials: int
    sharpe_intervals: dict[str, tuple[float, float]]  # account -> annual, 95%, by bootstrap
    block_bars: int

    @property
    def is_skilled(self) -> bool:
        """Did it pass?"""
        return self.verdict == "skilled"

    def with_checks(self, checks: list[Check]) -> "SkillReport":
        """The same report with other checks, and what those add up to."""
        return self.model_copy(update={"checks": checks, "verdict": verdict_of(checks)})


def judge_skill(evidence: SkillEvidence, config: GateConfig) -> SkillReport:
    """Every check of SKILL_CHECKS, in that order, and what they add up to."""
    skill = config.skill
    forecasts = judge_forecasts(evidence, skill)
    best = max(
        forecasts, key=lambda f: (f.is_enough, sum(f.passed), -(f.rank_ic_p or 1.0)), default=None
    )
    names = list(evidence.returns)
    bootstrap = bootstrap_sharpes(
        np.column_stack(list(evidence.returns.values())), skill.bootstrap_replications, skill.seed
    )
    checks = [
        *_forecast_checks(best, evidence, skill),
        *_trading_checks(evidence, names, bootstrap, skill),
    ]
    checks = [each.model_copy(update={"is_blocking": config.blocks(each.name)}) for each in checks]
    annual = np.sqrt(evidence.bars_per_year)
    intervals = {name: bootstrap.interval(k, 0.95) for k, name in enumerate(names)}
    return SkillReport(
        verdict=verdict_of(checks),
        checks=checks,
        horizon=None if best is None else best.horizon,
        forecasts=forecasts,
        trials=evidence.trials,
        sharpe_intervals={n: (low * annual, high * annual) for n, (low, high) in intervals.items()},
        block_bars=bootstrap.block_bars,
    )


def verdict_of(checks: list[Check]) -> SkillVerdict:
    """Skilled only if all that blocks passed; what is undecided never passes."""
    open_ = [check for check in checks if check.is_blocking and not check.passed]
    if not open_:
        return "skilled"
    return "not enough evidence" if all(c.is_undecided for c in open_) else "no skill shown"


def judge_forecasts(evidence: SkillEvidence, config: SkillConfig) -> list[ForecastSkill]:
    """Each horizon's tests; empty without predictions."""
    if evidence.predictions is None or not np.isfinite(evidence.predictions).all():
        return []
    return [
        _judge_horizon(horizon, prediction, target, mean, overlap, evidence, config)
        for horizon, prediction, target, mean, overlap in zip(
            evidence.horizons, evidence.predictions.T, evidence.targets.T, evidence.train_means,
            evidence.overlap_bars, strict=True,
        )
    ]  # fmt: skip


def _judge_horizon(
    horizon: str,
    prediction: Array,
    target: Array,
    train_mean: float,
    overlap: int,
    evidence: SkillEvidence,
    config: SkillConfig,
) -> ForecastSkill:
    known = np.isfinite(target)
    p, y = prediction[known], target[known]
    independent = len(y) // overlap
    facts = ForecastSkill(horizon=horizon, known_targets=len(y), independent_targets=independent)
    if independent < config.min_independent_targets or not y.std() > 0:
        return facts
    if p.std() <= 1e-9 * np.abs(p).max():  # a constant ranks nothing and has no slope
        return facts.model_copy(update={"rank_ic": 0.0, "rank_ic_p": 1.0, "is_enough": True})
    ic = rank_ic(p, y, overlap)
    on_zero = diebold_mariano(p, np.zeros(len(y)), y, overlap)
    on_mean = diebold_mariano(p, np.full(len(y), train_mean), y, overlap)
    slope = calibration_slope(p, y, overlap)
    low, high = slope.interval(0.95)
    lowest, highest = config.calibration_range
    return ForecastSkill(
        horizon=horizon,
        known_targets=len(y),
        independent_targets=independent,
        rank_ic=ic.value,
        rank_ic_p=ic.p_value,
        gain_on_zero=on_zero.value / float((y**2).mean()),
        gain_on_zero_p=on_zero.p_value,
        gain_on_mean=on_mean.value / float(((y - train_mean) ** 2).mean()),
        gain_on_mean_p=on_mean.p_value,
        slope=slope.value,
        slope_low=low,
        slope_high=high,
        passed=(
            ic.p_value <= config.significance / len(evidence.horizons),
            on_zero.p_value <= config.magnitude_significance,
            on_mean.p_value <= config.magnitude_significance,
            high >= lowest and low <= highest,
        ),
        is_enough=True,
    )


def _forecast_checks(
    best: ForecastSkill | None, evidence: SkillEvidence, config: SkillConfig
) -> list[Check]:
    names = SKILL_CHECKS[:4]
    if best is None:
        return [_check(name, False, "there is no usable forecast to judge") for name in names]
    if not best.is_enough:
        detail = (
            f"{best.horizon}: {best.independent_targets} targets that do not overlap, needs "
            f"{config.min_independent_targets}"
        )
        return [_undecided(name, detail) for name in names]
    if best.slope is None:
        detail = f"{best.horizon}: the forecast is constant"
        return [_check(name, False, detail) for name in names]
    limit, mild = config.significance / len(evidence.horizons), config.magnitude_significance
    lowest, highest = config.calibration_range
    details = (
        f"rank IC {best.rank_ic:.3f}, p {best.rank_ic_p:.4f}, limit {limit:.4f} "
        f"({config.significance:.0%} over {len(evidence.horizons)} horizons)",
        f"R2 {best.gain_on_zero:+.4f} against zero, p {best.gain_on_zero_p:.4f}, limit {mild:.2f}",
        f"R2 {best.gain_on_mean:+.4f} against the train mean, p {best.gain_on_mean_p:.4f}, limit "
        f"{mild:.2f}",
        f"slope {best.slope:.2f} (95%: {best.slope_low:.2f} to {best.slope_high:.2f}), must reach "
        f"into {lowest:g} to {highest:g}",
    )
    p_values = (best.rank_ic_p, best.gain_on_zero_p, best.gain_on_mean_p, None)
    figures = (best.rank_ic, best.gain_on_zero, best.gain_on_mean, best.slope)
    return [
        _check(name, passed, f"{best.horizon}: {detail}", value=value, p=p)
        for name, passed, detail, value, p in zip(
            names, best.passed, details, figures, p_values, strict=True
        )
    ]


def _trading_checks(
    evidence: SkillEvidence, names: list[str], bootstrap: SharpeBootstrap, config: SkillConfig
) -> list[Check]:
    num_bars = len(evidence.returns[POLICY])
    if num_bars < config.min_test_bars:
        detail = f"{num_bars} bars, needs {config.min_test_bars}"
        return [_undecided(name, detail) for name in SKILL_CHECKS[4:]]
    rivals = [name for name in BENCHMARKS if name in names]
    return [
        _check_rivals("beats_the_teacher", [TEACHER], evidence, names, bootstrap, config),
        _check_rivals("beats_the_benchmarks", rivals, evidence, names, bootstrap, config),
        _check_champion(evidence, names, bootstrap, config),
        _check_deflation(evidence, config),
        _check_selection(evidence, config),
    ]


def _check_rivals(
    check: str,
    rivals: list[str],
    evidence: SkillEvidence,
    names: list[str],
    bootstrap: SharpeBootstrap,
    config: SkillConfig,
) -> Check:
    own = names.index(POLICY)
    p_values = {rival: bootstrap.p_better(own, names.index(rival)) for rival in rivals}
    said = [
        difference_in_words(rival, evidence, names, bootstrap) + f", p {p:.4f}"
        for rival, p in p_values.items()
    ]
    worst = max(p_values.values())
    detail = f"{'; '.join(said)}; limit {config.significance:.2f}"
    figures = {f"p_{rival}": p for rival, p in p_values.items()}
    return _check(check, worst <= config.significance, detail, **figures)


def difference_in_words(
    rival: str, evidence: SkillEvidence, names: list[str], bootstrap: SharpeBootstrap
) -> str:
    """Annual Sharpe ratio less a rival's, with its interval."""
    annual = np.sqrt(evidence.bars_per_year)
    found, low, high = bootstrap.difference(names.index(POLICY), names.index(rival), 0.95)
    title = TITLES.get(rival, rival)
    return f"Sharpe {found * annual:+.2f} on {title} (95%: {low * annual:.2f} to " + (
        f"{high * annual:.2f})"
    )


def _check_champion(
    evidence: SkillEvidence, names: list[str], bootstrap: SharpeBootstrap, config: SkillConfig
) -> Check:
    check = "holds_against_the_champion"
    if CHAMPION not in names:
        return _check(check, True, "there is no other champion to hold against")
    own, champion = names.index(POLICY), names.index(CHAMPION)
    said = difference_in_words(CHAMPION, evidence, names, bootstrap)
    if config.champion_rule == "better":
        p = bootstrap.p_better(own, champion)
        passed, words = p <= config.significance, "p of being no better"
    else:
        p = bootstrap.p_better(champion, own)
        passed, words = p > config.significance, "p of being no worse"
    return _check(check, passed, f"{said}, {words} {p:.4f}, limit {config.significance:.2f}", p=p)


def _check_deflation(evidence: SkillEvidence, config: SkillConfig) -> Check:
    check, returns = "sharpe_survives_deflation", evidence.returns[POLICY]
    found, needed = sharpe_of(returns), 1 - config.significance
    if found is None:
        return _check(check, False, "it did not trade, so it has no Sharpe ratio")
    skewness, kurtosis = moments(returns)
    probability = deflated_sharpe(
        found, len(returns), skewness, kurtosis, evidence.trials, evidence.trial_variance
    )
    annual = np.sqrt(evidence.bars_per_year)
    lucky = annual * np.sqrt(evidence.trial_variance) * expected_maximum(evidence.trials)
    detail = (
        f"Sharpe {found * annual:.2f}, of which {lucky:.2f} is what the best of {evidence.trials} "
        f"trials has by chance: {probability:.4f} sure to be above zero, at least {needed:.2f}"
    )
    return _check(
        check, probability >= needed, detail, deflated_sharpe=probability, trials=evidence.trials
    )


def _check_selection(evidence: SkillEvidence, config: SkillConfig) -> Check:
    check, candidates = "selection_is_not_overfit", evidence.candidates
    if candidates is None or candidates.shape[1] < 2:
        return _check(check, True, "there was one candidate, so nothing was selected")
    if len(candidates) < 2 * config.overfitting_blocks:
        detail = f"{len(candidates)} validation rows, needs {2 * config.overfitting_blocks}"
        return _undecided(check, detail)
    risk = selection_risk(candidates, config.overfitting_blocks)
    limit = config.max_overfitting_probability
    detail = (
        f"the best of {candidates.shape[1]} candidates falls below their median with probability "
        f"{risk.overfitting:.2f}, limit {limit:.2f}, and below zero with {risk.loss:.2f}, limit "
        f"{config.significance:.2f}; one of both must hold"
    )
    passed = risk.overfitting <= limit or risk.loss <= config.significance
    return _check(check, passed, detail, **_figures(risk))


def _figures(risk: Selection) -> dict[str, float]:
    return {"overfitting_probability": risk.overfitting, "loss_probability": risk.loss}


def _check(name: str, passed: bool, detail: str, **figures: float | int | None) -> Check:
    return Check(name=name, passed=bool(passed), is_blocking=True, detail=detail, figures=figures)


def _undecided(name: str, detail: str) -> Check:
    return Check(name=name, passed=False, is_blocking=True, detail=detail, is_undecided=True)
