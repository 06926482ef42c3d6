"""Configuration of the gate: what each check is called, and where it draws the line."""

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from rl_core.base.units import length_ns

# check -> what it guards, and what to do; may a version be served at all?
SAFETY_CHECKS: Mapping[str, str] = {
    "predictions_are_finite": "NaN or infinity in an answer: train again, and see the guard's log.",
    "predictions_are_within_100_percent": "Forecasts that no market pays: the heads are too loud.",
    "predictions_are_alive": "Return heads that were never trained or hardly move.",
    "predictions_vary_across_states": "One and the same forecast whatever the state.",
    "actions_have_not_collapsed": "A policy that takes one action nearly always.",
    "no_regime_is_degenerate": "A policy that takes one action always in some kind of market.",
    "behaviour_is_near_training": "Actions on test unlike those in training: drift or leakage.",
    "heads_were_trained": "Return heads that are where they were initialised.",
    "clone_imitates_the_teacher": "A clone no better than the commonest action.",
    "no_overfit_in_loss": "Imitation that is far worse on test than on train.",
    "no_overfit_in_accuracy": "Imitation that is far worse on test than on train.",
    "inference_is_fast": "An answer that takes too much processor time.",
    "backtest_equals_environment": "Two accounts of the same orders that differ: a fault.",
    "lineage_is_complete": "A policy whose way back to its bars is broken.",
}
FORECAST_CHECKS: Mapping[str, str] = {
    "forecast_ranks_returns": "Forecasts that do not order returns better than chance.",
    "forecast_beats_zero": "Forecasts worse than forecasting nothing.",
    "forecast_beats_train_mean": "Forecasts worse than the training mean.",
    "forecast_is_calibrated": "Forecasts too loud or too faint by far.",
}
TRADING_CHECKS: Mapping[str, str] = {
    "beats_the_teacher": "An agent that adds nothing to the rules it learned from.",
    "beats_the_benchmarks": "An agent that adds nothing to holding.",
    "holds_against_the_champion": "A challenger that is worse than what is served.",
    "sharpe_survives_deflation": "A Sharpe ratio that so many trials reach by luck.",
    "selection_is_not_overfit": "A candidate that was picked for its luck.",
}
SKILL_CHECKS = {**FORECAST_CHECKS, **TRADING_CHECKS}  # has it shown that it deserves to decide?

INTEGRITY_CHECKS = (  # without them nothing else that the gate says means anything
    "predictions_are_finite",
    "backtest_equals_environment",
    "lineage_is_complete",
)

Severity = Literal["block", "warn"]
DEFAULT_SEVERITY: Mapping[str, Severity] = {"inference_is_fast": "warn"}  # the others block


class SkillConfig(BaseModel):
    """The thresholds that separate a champion from a shadow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    significance: float = Field(
        default=0.05, gt=0, lt=0.5, description="false-positive rate of each part of the tier"
    )
    magnitude_significance: float = Field(
        default=0.10, gt=0, lt=0.5, description="of the Diebold-Mariano tests of what ranks well"
    )
    calibration_range: tuple[float, float] = Field(
        default=(0.5, 2.0), description="the slope's 95% interval must reach into it"
    )
    min_independent_targets: int = Field(
        default=60, ge=10, description="known targets / bars that overlap; fewer decide nothing"
    )
    min_test_bars: int = Field(default=250, ge=50, description="for anything said of trading")
    champion_rule: Literal["not_worse", "better"] = Field(
        default="not_worse", description="what a challenger must show against the champion"
    )
    champion_margin: float = Field(
        default=0.25,
        ge=0,
        lt=1,
        description="of the champion's Sharpe ratio: how much worse counts",
    )
    max_overfitting_probability: float = Field(default=0.5, gt=0, le=1)
    overfitting_blocks: int = Field(default=16, ge=4, le=20, multiple_of=2)
    bootstrap_replications: int = Field(default=1999, ge=199)
    seed: int = Field(default=0, ge=0, description="of the bootstrap")


def blocks_by_default(check: str) -> bool:
    """True if a check's failure keeps a version from its tier unless the desk says otherwise."""
    return DEFAULT_SEVERITY.get(check, "block") == "block"


class GateConfig(BaseModel):
    """Thresholds between a trained model and its use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    require_predictions: bool = Field(
        default=True, description="refuse a model whose return heads were not trained"
    )
    min_implied_r2: float = Field(
        default=1e-4, ge=0, lt=1, description="sd(prediction) >= sqrt(this) x sd(return)"
    )
    max_identical_share: float = Field(
        default=0.05, gt=0, le=1, description="of test states with one and the same prediction"
    )
    max_action_share: float = Field(default=0.95, gt=0, le=1, description="of the commonest action")
    max_regime_action_share: float = Field(
        default=0.995, gt=0, le=1, description="of the commonest action in any one regime"
    )
    min_regime_bars: int = Field(
        default=100, ge=1, description="of a regime; a rarer one is not judged"
    )
    max_action_shift: float = Field(
        default=0.3, gt=0, le=1, description="total variation between test and training actions"
    )
    max_strength_shift: float = Field(
        default=0.4, gt=0, le=1, description="Kolmogorov-Smirnov between test and training strength"
    )
    min_head_movement: float = Field(
        default=0.01, gt=0, description="of a return head from its initialisation, relative"
    )
    min_imitation_accuracy: float = Field(default=0.7, gt=0, lt=1, description="of the clone")
    min_matthews: float = Field(
        default=0.05, ge=0, lt=1, description="of the clone; the majority class has 0"
    )
    max_loss_gap: float = Field(default=0.2, gt=0, description="imitation loss, test - train")
    max_accuracy_gap: float = Field(default=0.10, gt=0, le=1, description="train - test")
    max_p99_milliseconds: float = Field(
        default=10.0, gt=0, description="processor time of one answer"
    )
    max_account_error: float = Field(
        default=1e-6, gt=0, description="environment against backtest, relative, on equity"
    )
    interval_coverage: float = Field(
        default=0.90, gt=0.5, lt=1, description="of the interval beside each prediction"
    )
    contenders: tuple[Literal["ridge", "trees", "own_forecasts"], ...] = Field(
        default=("ridge", "trees", "own_forecasts"),
        description="simple models that are shown beside the policy; they judge nothing",
    )
    skill: SkillConfig = SkillConfig()
    severity: dict[str, Severity] = Field(
        default_factory=dict,
        description="check -> block (the default, but of inference_is_fast) or warn",
    )

    @field_validator("severity")
    @classmethod
    def _names_checks(cls, severity: dict[str, Severity]) -> dict[str, Severity]:
        if unknown := set(severity) - {*SAFETY_CHECKS, *SKILL_CHECKS}:
            known = ", ".join([*SAFETY_CHECKS, *SKILL_CHECKS])
            raise ValueError(
                f"severity must name checks of the gate ({known}), was {', '.join(sorted(unknown))}"
            )
        if kept := [name for name in INTEGRITY_CHECKS if severity.get(name) == "warn"]:
            raise ValueError(f"severity must leave {', '.join(kept)} at block, was warn")
        return severity

    def blocks(self, check: str) -> bool:
        """Does a check's failure keep a version from its tier?"""
        chosen = self.severity.get(check)
        return blocks_by_default(check) if chosen is None else chosen == "block"


class WalkForwardConfig(BaseModel):
    """How a desk is walked forward."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scheme: Literal["expanding", "rolling", "combinatorial"] = Field(
        default="expanding",
        description="train on all bars before a fold, on the last ones, or leave groups out in "
        "every combination",
    )
    train: str = Field(
        default="365d", description="before the first fold; of every fold if rolling"
    )
    test: str = Field(default="90d", description="of every fold")
    folds: PositiveInt | None = Field(default=None, description="at most so many, from the first")
    validation_fraction: float = Field(
        default=0.15, gt=0, lt=0.5, description="of a fold's training bars, at their end"
    )
    embargo: str = Field(default="24h", description="kept free at each border besides the purge")
    groups: int = Field(default=6, ge=3, le=12, description="of combinatorial folds")
    test_groups: int = Field(default=2, ge=1, description="that each combinatorial fold leaves out")
    seeds: tuple[int, ...] = Field(
        default=(42, 123, 456), min_length=1, description="each fold is trained with each"
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "WalkForwardConfig":
        for name in ("train", "test"):
            if length_ns(getattr(self, name)) <= 0:
                raise ValueError(f"{name} must be positive, was {getattr(self, name)}")
        if length_ns(self.embargo) < 0:
            raise ValueError(f"embargo must not be negative, was {self.embargo}")
        if self.folds is not None and self.scheme == "combinatorial":
            raise ValueError("folds must be left out with combinatorial, which has all its choices")
        if self.test_groups >= self.groups:
            raise ValueError(
                f"test_groups must be fewer than groups, was {self.test_groups} of {self.groups}"
            )
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds must differ and be >= 0, was {list(self.seeds)}")
        return self
