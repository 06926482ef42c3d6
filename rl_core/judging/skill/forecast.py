"""Are its forecasts worth anything? The first half of the skill tier.

The rank correlation is held to `significance` divided by the number of horizons (Bonferroni), so
forecasts without information pass at any horizon at most at `significance`. What else is asked of
the same horizon can only refuse more; it is there for forecasts that rank well and are still of no
use, such as one 20 times too loud, and may therefore be held to the milder
`magnitude_significance`.

Shapes: S bars of the test span, H horizons.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_core.base.checks import Check, blocking, undecided
from rl_core.judging.figures import ForecastSkill
from rl_core.judging.settings import FORECAST_CHECKS, SkillConfig
from rl_core.judging.statistics.forecasts import calibration_slope, diebold_mariano, rank_ic

Array = NDArray[np.float64]


@dataclass(frozen=True)
class ForecastEvidence:
    """Forecasts and what came, out of sample."""

    horizons: tuple[str, ...]
    overlap_bars: tuple[int, ...]  # of each horizon's targets
    predictions: Array | None  # (S, H) fractions; None if the heads are untrained
    targets: Array  # (S, H), NaN is unknown
    train_means: Array  # (H,) of the training targets


def best_of(forecasts: list[ForecastSkill]) -> ForecastSkill | None:
    """The horizon that the checks speak of: one that passes all, or else comes nearest to it."""
    return max(
        forecasts,
        key=lambda f: (f.is_enough, f.passed[0], sum(f.passed), -(f.rank_ic_p or 1.0)),
        default=None,
    )


def judge_forecasts(evidence: ForecastEvidence, config: SkillConfig) -> list[ForecastSkill]:
    """Each horizon's tests; empty without predictions, or with one that is not finite."""
    if evidence.predictions is None or not np.isfinite(evidence.predictions).all():
        return []
    level = config.significance / len(evidence.horizons)
    return [
        _judge_horizon(horizon, prediction, target, mean, overlap, level, config)
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
    level: float,
    config: SkillConfig,
) -> ForecastSkill:
    """One horizon's tests; its rank correlation is held to `level`."""
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
            ic.p_value <= level,
            on_zero.p_value <= config.magnitude_significance,
            on_mean.p_value <= config.magnitude_significance,
            high >= lowest and low <= highest,
        ),
        is_enough=True,
    )


def forecast_checks(
    best: ForecastSkill | None, num_horizons: int, config: SkillConfig
) -> list[Check]:
    """What the best horizon's tests come to."""
    if best is None:
        return [
            blocking(name, False, "there is no usable forecast to judge")
            for name in FORECAST_CHECKS
        ]
    if not best.is_enough:
        detail = (
            f"{best.horizon}: {best.independent_targets} targets that do not overlap, needs "
            f"{config.min_independent_targets}"
        )
        return [undecided(name, detail) for name in FORECAST_CHECKS]
    if best.slope is None:
        detail = f"{best.horizon}: the forecast is constant"
        return [blocking(name, False, detail) for name in FORECAST_CHECKS]
    limit, mild = config.significance / num_horizons, config.magnitude_significance
    lowest, highest = config.calibration_range
    details = (
        f"rank IC {best.rank_ic:.3f}, p {best.rank_ic_p:.4f}, limit {limit:.4f} "
        f"({config.significance:.0%} over {num_horizons} horizons)",
        f"R2 {best.gain_on_zero:+.4f} against zero, p {best.gain_on_zero_p:.4f}, limit {mild:.2f}",
        f"R2 {best.gain_on_mean:+.4f} against the train mean, p {best.gain_on_mean_p:.4f}, limit "
        f"{mild:.2f}",
        f"slope {best.slope:.2f} (95%: {best.slope_low:.2f} to {best.slope_high:.2f}), must reach "
        f"into {lowest:g} to {highest:g}",
    )
    p_values = (best.rank_ic_p, best.gain_on_zero_p, best.gain_on_mean_p, None)
    figures = (best.rank_ic, best.gain_on_zero, best.gain_on_mean, best.slope)
    return [
        blocking(name, passed, f"{best.horizon}: {detail}", value=value, p=p)
        for name, passed, detail, value, p in zip(
            FORECAST_CHECKS, best.passed, details, figures, p_values, strict=True
        )
    ]
