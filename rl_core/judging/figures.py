"""What the gate finds, as figures: plain models, light to load."""

from typing import Literal

from pydantic import BaseModel, ConfigDict

from rl_core.base.checks import Check


class SharpeFigures(BaseModel):
    """An annual Sharpe ratio with its 95% interval."""

    model_config = ConfigDict(frozen=True)

    sharpe: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.sharpe:.2f} ({self.low:.2f} to {self.high:.2f})"


class SeedSummary(BaseModel):
    """The interquartile mean of a figure over seeds."""

    model_config = ConfigDict(frozen=True)

    seeds: int
    iqm: float
    low: float  # ends of its bootstrap interval
    high: float
    confidence: float
    values: tuple[float, ...]


class PredictionMetrics(BaseModel):
    """One horizon's predictions against what happened; None where undefined."""

    model_config = ConfigDict(frozen=True)

    known_targets: int
    prediction_sd: float
    target_sd: float
    implied_r2: float  # (sd of prediction / sd of target)^2: the R2 it would need to be honest
    correlation: float | None
    rank_correlation: float | None
    r2_against_zero: float | None  # 1 - MSE / mean squared target
    plain_threshold_share: float  # share with |prediction| >= 0.1%


class RegimeFigures(BaseModel):
    """A policy in the bars of one regime."""

    model_config = ConfigDict(frozen=True)

    bars: int
    action_share: float  # of the commonest action
    action: str  # which one that is
    identical_share: float | None  # of predictions, the horizon with most; None without heads
    mean_return: float  # per bar, all costs paid
    sharpe: SharpeFigures | None


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


SkillVerdict = Literal["skilled", "no skill shown", "not enough evidence"]


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
    significance: float  # how often a model without skill may pass

    @property
    def is_skilled(self) -> bool:
        """True if the skill tier was passed."""
        return self.verdict == "skilled"

    def with_checks(self, checks: list[Check]) -> "SkillReport":
        """The same report with other checks, and what those add up to."""
        return self.model_copy(update={"checks": checks, "verdict": verdict_of(checks)})


def verdict_of(checks: list[Check]) -> SkillVerdict:
    """Skilled only if all that blocks passed; what is undecided never passes."""
    open_ = [check for check in checks if check.is_blocking and not check.passed]
    if not open_:
        return "skilled"
    return "not enough evidence" if all(c.is_undecided for c in open_) else "no skill shown"
