"""The gate: each check passes what is sound and refuses its own kind of fault."""

from dataclasses import replace

import numpy as np
import pytest

from rl_core.evaluation.config import GateConfig
from rl_core.evaluation.gate import CHECK_NAMES, Evidence, Imitation, judge
from rl_core.evaluation.metrics import largest_identical_share, prediction_metrics

RNG = np.random.default_rng(0)
TARGETS = RNG.normal(0, 0.01, (1000, 2))
PREDICTIONS = 0.1 * TARGETS + RNG.normal(0, 0.0005, (1000, 2))
SOUND = Evidence(
    horizons=("1h", "24h"),
    predictions=PREDICTIONS,
    targets=TARGETS,
    actions=RNG.integers(0, 3, 1000).astype(np.int8),
    action_names=("HOLD", "BUY", "SELL"),
    train=Imitation(loss=0.2, accuracy=0.9),
    test=Imitation(loss=0.3, accuracy=0.85),
    latencies_seconds=np.full((2, 100), 0.001),
    account_error=1e-9,
)


def spoiled(row: int, value: float) -> np.ndarray:
    predictions = PREDICTIONS.copy()
    predictions[row, 0] = value
    return predictions


FAULTS = {
    "predictions_are_finite": replace(SOUND, predictions=spoiled(5, np.nan)),
    "predictions_are_within_100_percent": replace(SOUND, predictions=spoiled(5, -1.2)),
    "predictions_are_alive": replace(SOUND, predictions=1e-3 * TARGETS),  # implied R2 1e-6
    "predictions_vary_across_states": replace(
        SOUND, predictions=np.where(np.arange(1000)[:, None] < 100, 0.001, PREDICTIONS)
    ),
    "actions_have_not_collapsed": replace(SOUND, actions=(np.arange(1000) < 40).astype(np.int8)),
    "no_overfit_in_loss": replace(SOUND, test=Imitation(0.41, 0.85)),
    "no_overfit_in_accuracy": replace(SOUND, test=Imitation(0.3, 0.79)),
    "inference_is_fast": replace(SOUND, latencies_seconds=np.full((2, 100), 0.011)),
    "backtest_equals_environment": replace(SOUND, account_error=2e-6),
}


def failed(evidence: Evidence, config: GateConfig | None = None) -> list[str]:
    checks = judge(evidence, config or GateConfig())
    assert tuple(check.name for check in checks) == CHECK_NAMES
    return [check.name for check in checks if not check.passed]


def test_a_sound_policy_passes() -> None:
    assert failed(SOUND) == []


@pytest.mark.parametrize("name", CHECK_NAMES)
def test_each_fault_is_refused_by_its_check(name: str) -> None:
    found = failed(FAULTS[name])
    assert name in found
    if name != "predictions_are_finite":  # nothing else can be judged then
        assert found == [name]


def test_predictions_that_are_not_finite_pass_no_prediction_check() -> None:
    assert failed(FAULTS["predictions_are_finite"]) == list(CHECK_NAMES[:4])


def test_untrained_heads_are_refused_unless_the_desk_does_without() -> None:
    untrained = replace(SOUND, predictions=None)
    assert failed(untrained) == list(CHECK_NAMES[:4])
    assert failed(untrained, GateConfig(require_predictions=False)) == []


def test_metrics_by_hand() -> None:
    prediction = np.array([0.01, -0.01, 0.01, -0.01, 0.0005])
    target = np.array([0.02, -0.02, 0.02, -0.02, np.nan])
    metrics = prediction_metrics(prediction, target)
    assert metrics.known_targets == 4
    assert metrics.correlation == pytest.approx(1.0)
    assert metrics.rank_correlation == pytest.approx(1.0)
    assert metrics.r2_against_zero == pytest.approx(1 - 0.01**2 / 0.02**2)
    assert metrics.plain_threshold_share == pytest.approx(0.8)
    assert prediction_metrics(np.zeros(3), np.full(3, np.nan)).correlation is None


def test_the_share_of_the_commonest_prediction() -> None:
    assert largest_identical_share(np.array([1.0, 2.0, 1.0, 3.0])) == 0.5


def test_a_busy_moment_of_the_machine_does_not_refuse_a_fast_model() -> None:
    noisy = np.full((3, 100), 0.001)
    noisy[0, :50] = noisy[2, :2] = 0.5
    assert failed(replace(SOUND, latencies_seconds=noisy)) == []
