"""The safety tier: what a policy must show on the untouched test span before it may be served.

It says that a model is sound, not that it makes money; `skill` asks that. Shapes: S bars of the
test span, H horizons, A actions.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import ks_2samp

from rl_core.base.checks import Check, blocking
from rl_core.judging.figures import RegimeFigures
from rl_core.judging.metrics import (
    largest_identical_share,
    prediction_metrics,
)
from rl_core.judging.settings import SAFETY_CHECKS, GateConfig

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Imitation:
    """How a policy imitates the teacher on one span."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Behaviour:
    """What a policy answers to the states that the teacher saw on one span."""

    action_shares: Array  # (A,)
    strengths: Array  # of its orders; empty where orders have none


@dataclass(frozen=True)
class HeadTraining:
    """Evidence of whether the return heads were trained."""

    movement: Mapping[str, float]  # horizon -> distance from initialisation / its length
    gradient_share: float  # of the trunk's gradient that comes from the return heads, 0..1


@dataclass(frozen=True)
class CloneAgreement:
    """How the clone that PPO began with agrees with the teacher on the test span."""

    accuracy: float
    balanced_accuracy: float
    matthews: float  # correlation coefficient, -1..1; 0 for whoever always says the same
    majority_share: float
    num_actions: int  # that the teacher chose there


@dataclass(frozen=True)
class Evidence:
    """The arrays that the safety tier judges."""

    horizons: tuple[str, ...]
    predictions: Array | None  # (S, H) fractions before clipping; None if the heads are untrained
    targets: Array  # (S, H), NaN is unknown
    actions: NDArray[np.int8]  # (S,)
    action_names: tuple[str, ...]
    train: Imitation
    test: Imitation
    latencies_seconds: Array  # (rounds, repeats) of single predictions
    account_error: float  # largest relative difference of equity, environment and backtest
    other_decisions: int  # bars at which a policy decides otherwise in the environment
    regimes: Mapping[str, RegimeFigures]
    on_train: Behaviour
    on_test: Behaviour
    heads: HeadTraining | None  # None if the heads were not trained
    clone: CloneAgreement
    missing_links: Sequence[str]  # of the lineage


def judge_safety(evidence: Evidence, config: GateConfig) -> list[Check]:
    """Every check of SAFETY_CHECKS, in that order."""
    checks = [
        *_prediction_checks(evidence, config),
        _check_actions(evidence, config),
        _check_regimes(evidence.regimes, config),
        _check_behaviour(evidence.on_train, evidence.on_test, config),
        _check_heads(evidence, config),
        _check_imitation(evidence.clone, config),
        *_overfit_checks(evidence.train, evidence.test, config),
        _check_latency(evidence.latencies_seconds, config),
        blocking(
            "backtest_equals_environment",
            evidence.account_error <= config.max_account_error and not evidence.other_decisions,
            f"largest relative difference of equity {evidence.account_error:.1e}, "
            f"limit {config.max_account_error:.0e}"
            + (f"; {evidence.other_decisions} other decisions" if evidence.other_decisions else ""),
            error=evidence.account_error,
            other_decisions=evidence.other_decisions,
        ),
        blocking(
            "lineage_is_complete",
            not evidence.missing_links,
            f"missing or broken: {', '.join(evidence.missing_links)}"
            if evidence.missing_links
            else "every link down to the bars is there, and every hash holds",
        ),
    ]
    return [each.model_copy(update={"is_blocking": config.blocks(each.name)}) for each in checks]


def _prediction_checks(evidence: Evidence, config: GateConfig) -> list[Check]:
    names = list(SAFETY_CHECKS)[:4]
    if evidence.predictions is None:
        detail = "return heads were not trained, so there is no prediction"
        return [blocking(name, not config.require_predictions, detail) for name in names]
    is_finite = bool(np.isfinite(evidence.predictions).all())
    bad_rows = int((~np.isfinite(evidence.predictions)).any(axis=1).sum())
    finite = blocking(
        names[0], is_finite, f"{bad_rows} of {len(evidence.predictions)} not finite", rows=bad_rows
    )
    if not is_finite:
        detail = "cannot be judged while predictions are not finite"
        return [finite, *(blocking(name, False, detail) for name in names[1:])]
    return [
        finite,
        _check_range(evidence.predictions),
        _check_alive(evidence, evidence.predictions, config),
        _check_variation(evidence.horizons, evidence.predictions, config),
    ]


def _check_range(predictions: Array) -> Check:
    largest = float(np.abs(predictions).max())
    return blocking(
        "predictions_are_within_100_percent",
        largest <= 1,
        f"largest absolute prediction {largest:.4f}, limit 1",
        largest=largest,
    )


def _check_alive(evidence: Evidence, predictions: Array, config: GateConfig) -> Check:
    """Dispersion of at least sqrt(R2) x sigma, at every horizon."""
    figures: dict[str, float] = {}
    for horizon, prediction, target in zip(
        evidence.horizons, predictions.T, evidence.targets.T, strict=True
    ):
        metrics = prediction_metrics(prediction, target)
        figures[f"implied_r2_{horizon}"] = metrics.implied_r2
        figures[f"share_beyond_0.1%_{horizon}"] = metrics.plain_threshold_share
    lowest = min(value for name, value in figures.items() if name.startswith("implied"))
    detail = f"smallest implied R2 {lowest:.5f}, at least {config.min_implied_r2}"
    return blocking("predictions_are_alive", lowest >= config.min_implied_r2, detail, **figures)


def _check_variation(horizons: Sequence[str], predictions: Array, config: GateConfig) -> Check:
    shares = {h: largest_identical_share(p) for h, p in zip(horizons, predictions.T, strict=True)}
    largest = max(shares.values())
    detail = (
        f"at most {largest:.4f} of states share a prediction, limit {config.max_identical_share}"
    )
    passed = largest <= config.max_identical_share
    return blocking("predictions_vary_across_states", passed, detail, **shares)


def _check_actions(evidence: Evidence, config: GateConfig) -> Check:
    names, actions = evidence.action_names, evidence.actions
    shares = np.bincount(actions, minlength=len(names)) / len(actions)
    largest = int(shares.argmax())
    return blocking(
        "actions_have_not_collapsed",
        bool(shares[largest] <= config.max_action_share),
        f"{names[largest]} in {shares[largest]:.3f} of bars, limit {config.max_action_share}",
        **dict(zip(names, shares.tolist(), strict=True)),
    )


def _check_regimes(regimes: Mapping[str, RegimeFigures], config: GateConfig) -> Check:
    """Alive in every kind of market that the test span has enough of."""
    judged = {name: r for name, r in regimes.items() if r.bars >= config.min_regime_bars}
    bad = [
        f"{name} ({figures.action} in {figures.action_share:.3f} of {figures.bars} bars)"
        for name, figures in judged.items()
        if figures.action_share > config.max_regime_action_share
        or (figures.identical_share or 0.0) > config.max_identical_share
    ]
    rare = sorted(set(regimes) - set(judged))
    detail = (
        f"degenerate in {', '.join(bad)}, limit {config.max_regime_action_share}"
        if bad
        else f"alive in {', '.join(judged) or 'no regime'}"
    ) + (f"; too rare to judge: {', '.join(rare)}" if rare else "")
    shares = {f"action_share_{name}": figures.action_share for name, figures in judged.items()}
    check = blocking("no_regime_is_degenerate", not bad and bool(judged), detail, **shares)
    return check.model_copy(update={"is_undecided": not judged})


def _check_behaviour(train: Behaviour, test: Behaviour, config: GateConfig) -> Check:
    """The policy answers test states much as it answers training states."""
    shift = float(np.abs(train.action_shares - test.action_shares).sum() / 2)
    strength = 0.0
    if len(train.strengths) and len(test.strengths):
        strength = float(ks_2samp(train.strengths, test.strengths, method="asymp").statistic)
    detail = (
        f"actions differ by {shift:.3f} from those on train, limit {config.max_action_shift}; "
        f"strengths by {strength:.3f}, limit {config.max_strength_shift}"
    )
    passed = shift <= config.max_action_shift and strength <= config.max_strength_shift
    figures = {"action_shift": shift, "strength_shift": strength}
    return blocking("behaviour_is_near_training", passed, detail, **figures)


def _check_heads(evidence: Evidence, config: GateConfig) -> Check:
    name, heads = "heads_were_trained", evidence.heads
    if heads is None:
        detail = "return heads were not trained, so there is no prediction"
        return blocking(name, not config.require_predictions, detail)
    least = min(heads.movement.values())
    detail = (
        f"return heads moved by {least:.3f} of their length from initialisation at least, limit "
        f"{config.min_head_movement}; {heads.gradient_share:.3f} of the trunk's gradient is theirs"
    )
    figures = {f"movement_{horizon}": value for horizon, value in heads.movement.items()}
    figures["gradient_share"] = heads.gradient_share
    return blocking(name, least >= config.min_head_movement, detail, **figures)


def _check_imitation(clone: CloneAgreement, config: GateConfig) -> Check:
    """Above the majority class by measures that the majority class cannot raise."""
    chance = 1 / max(clone.num_actions, 1)
    passed = (
        clone.accuracy > config.min_imitation_accuracy
        and clone.balanced_accuracy > chance
        and clone.matthews > config.min_matthews
    )
    detail = (
        f"accuracy {clone.accuracy:.3f}, above {config.min_imitation_accuracy} (the majority class "
        f"alone {clone.majority_share:.3f}); balanced {clone.balanced_accuracy:.3f}, above "
        f"{chance:.3f}; Matthews correlation {clone.matthews:.3f}, above {config.min_matthews}"
    )
    return blocking(
        "clone_imitates_the_teacher", passed, detail, accuracy=clone.accuracy,
        balanced_accuracy=clone.balanced_accuracy, matthews=clone.matthews,
    )  # fmt: skip


def _overfit_checks(train: Imitation, test: Imitation, config: GateConfig) -> list[Check]:
    loss_gap, accuracy_gap = test.loss - train.loss, train.accuracy - test.accuracy
    return [
        blocking(
            "no_overfit_in_loss",
            loss_gap <= config.max_loss_gap,
            f"imitation loss {train.loss:.3f} on train, {test.loss:.3f} on test, "
            f"gap {loss_gap:.3f}, limit {config.max_loss_gap}",
            gap=loss_gap,
        ),
        blocking(
            "no_overfit_in_accuracy",
            accuracy_gap <= config.max_accuracy_gap,
            f"imitation accuracy {train.accuracy:.3f} on train, {test.accuracy:.3f} on test, "
            f"gap {accuracy_gap:.3f}, limit {config.max_accuracy_gap}",
            gap=accuracy_gap,
        ),
    ]


def _check_latency(latencies_seconds: Array, config: GateConfig) -> Check:
    """The p99 of the quietest round, in processor time, which neighbours do not lengthen."""
    p99 = float(np.quantile(latencies_seconds, 0.99, axis=1).min()) * 1000
    return blocking(
        "inference_is_fast",
        p99 <= config.max_p99_milliseconds,
        f"p99 of single answers {p99:.2f} ms of processor time in the quietest of "
        f"{len(latencies_seconds)} rounds, limit {config.max_p99_milliseconds} ms",
        p99_milliseconds=p99,
    )


def measure_latencies(
    call: Callable[[], object], rounds: int = 4, repeats: int = 100, warm_up: int = 20
) -> Array:
    """Seconds of processor time of each call, (rounds, repeats), after some not counted."""
    for _ in range(warm_up):
        call()
    seconds = np.empty((rounds, repeats))
    for i in np.ndindex(seconds.shape):
        started = time.process_time()
        call()
        seconds[i] = time.process_time() - started
    return seconds
