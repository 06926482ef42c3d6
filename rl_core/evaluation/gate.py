"""The gate: what a policy must show on the untouched test span before it may be served.

This is the safety tier. It says that a model is sound, not that it makes money; no check here
measures skill. Shapes: S bars of the test span, H horizons.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rl_core.checks import Check
from rl_core.evaluation.config import GateConfig
from rl_core.evaluation.metrics import (
    PredictionMetrics,
    largest_identical_share,
    prediction_metrics,
)
from rl_core.trading.performance import Performance

Array = NDArray[np.float64]

CHECK_NAMES = (
    "predictions_are_finite",
    "predictions_are_within_100_percent",
    "predictions_are_alive",
    "predictions_vary_across_states",
    "actions_have_not_collapsed",
    "no_overfit_in_loss",
    "no_overfit_in_accuracy",
    "inference_is_fast",
    "backtest_equals_environment",
)


@dataclass(frozen=True)
class Imitation:
    """How a policy imitates the teacher on one span."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Evidence:
    """What the gate looks at."""

    horizons: tuple[str, ...]
    predictions: Array | None  # (S, H) fractions before clipping; None if the heads are untrained
    targets: Array  # (S, H), NaN is unknown
    actions: NDArray[np.int8]  # (S,)
    action_names: tuple[str, ...]
    train: Imitation
    test: Imitation
    latencies_seconds: Array  # (rounds, repeats) of single predictions
    account_error: float  # largest relative difference of equity, environment and backtest


class GateReport(BaseModel):
    """The verdict with all its figures."""

    model_config = ConfigDict(frozen=True)

    desk: str
    data: str = ""  # whose bars, and whether they are simulated
    policy: str  # content hash of the policy that was judged
    test_start: str
    test_end: str
    test_bars: int
    is_safe: bool  # every check passed: may be served as shadow
    is_skilled: bool | None  # None: skill was not judged
    checks: list[Check]
    predictions: dict[str, PredictionMetrics]  # by horizon; empty if the heads are untrained
    performance: dict[str, Performance]  # policy, teacher, benchmarks on the test span
    actions: dict[str, int]
    caveats: list[str] = []  # what a reader must know of the data


def judge(evidence: Evidence, config: GateConfig) -> list[Check]:
    """Every check of CHECK_NAMES, in that order."""
    return [
        *_prediction_checks(evidence, config),
        _check_actions(evidence, config),
        *_overfit_checks(evidence.train, evidence.test, config),
        _check_latency(evidence.latencies_seconds, config),
        _check(
            "backtest_equals_environment",
            evidence.account_error <= config.max_account_error,
            f"largest relative difference of equity {evidence.account_error:.1e}, "
            f"limit {config.max_account_error:.0e}",
            error=evidence.account_error,
        ),
    ]


def _check(name: str, passed: bool, detail: str, **figures: float | int | None) -> Check:
    return Check(name=name, passed=bool(passed), is_blocking=True, detail=detail, figures=figures)


def _prediction_checks(evidence: Evidence, config: GateConfig) -> list[Check]:
    names = CHECK_NAMES[:4]
    if evidence.predictions is None:
        detail = "return heads were not trained, so there is no prediction"
        return [_check(name, not config.require_predictions, detail) for name in names]
    is_finite = bool(np.isfinite(evidence.predictions).all())
    bad_rows = int((~np.isfinite(evidence.predictions)).any(axis=1).sum())
    finite = _check(
        names[0], is_finite, f"{bad_rows} of {len(evidence.predictions)} not finite", rows=bad_rows
    )
    if not is_finite:
        detail = "cannot be judged while predictions are not finite"
        return [finite, *(_check(name, False, detail) for name in names[1:])]
    return [
        finite,
        _check_range(evidence.predictions),
        _check_alive(evidence, evidence.predictions, config),
        _check_variation(evidence.horizons, evidence.predictions, config),
    ]


def _check_range(predictions: Array) -> Check:
    largest = float(np.abs(predictions).max())
    return _check(
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
    return _check("predictions_are_alive", lowest >= config.min_implied_r2, detail, **figures)


def _check_variation(horizons: Sequence[str], predictions: Array, config: GateConfig) -> Check:
    shares = {h: largest_identical_share(p) for h, p in zip(horizons, predictions.T, strict=True)}
    largest = max(shares.values())
    detail = (
        f"at most {largest:.4f} of states share a prediction, limit {config.max_identical_share}"
    )
    passed = largest <= config.max_identical_share
    return _check("predictions_vary_across_states", passed, detail, **shares)


def _check_actions(evidence: Evidence, config: GateConfig) -> Check:
    names, actions = evidence.action_names, evidence.actions
    shares = np.bincount(actions, minlength=len(names)) / len(actions)
    largest = int(shares.argmax())
    return _check(
        "actions_have_not_collapsed",
        bool(shares[largest] <= config.max_action_share),
        f"{names[largest]} in {shares[largest]:.3f} of bars, limit {config.max_action_share}",
        **dict(zip(names, shares.tolist(), strict=True)),
    )


def _overfit_checks(train: Imitation, test: Imitation, config: GateConfig) -> list[Check]:
    loss_gap, accuracy_gap = test.loss - train.loss, train.accuracy - test.accuracy
    return [
        _check(
            "no_overfit_in_loss",
            loss_gap <= config.max_loss_gap,
            f"imitation loss {train.loss:.3f} on train, {test.loss:.3f} on test, "
            f"gap {loss_gap:.3f}, limit {config.max_loss_gap}",
            gap=loss_gap,
        ),
        _check(
            "no_overfit_in_accuracy",
            accuracy_gap <= config.max_accuracy_gap,
            f"imitation accuracy {train.accuracy:.3f} on train, {test.accuracy:.3f} on test, "
            f"gap {accuracy_gap:.3f}, limit {config.max_accuracy_gap}",
            gap=accuracy_gap,
        ),
    ]


def _check_latency(latencies_seconds: Array, config: GateConfig) -> Check:
    """The p99 of the quietest round: what else the machine does only ever adds."""
    p99 = float(np.quantile(latencies_seconds, 0.99, axis=1).min()) * 1000
    return _check(
        "inference_is_fast",
        p99 <= config.max_p99_milliseconds,
        f"p99 of single predictions {p99:.2f} ms in the quietest of {len(latencies_seconds)} "
        f"rounds, limit {config.max_p99_milliseconds} ms",
        p99_milliseconds=p99,
    )


def measure_latencies(
    call: Callable[[], object], rounds: int = 5, repeats: int = 200, warm_up: int = 20
) -> Array:
    """Seconds of each call, (rounds, repeats), after some that are not counted."""
    for _ in range(warm_up):
        call()
    seconds = np.empty((rounds, repeats))
    for i in np.ndindex(seconds.shape):
        started = time.perf_counter()
        call()
        seconds[i] = time.perf_counter() - started
    return seconds
