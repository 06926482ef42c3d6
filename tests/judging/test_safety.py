"""The safety tier: each check passes what is sound and refuses its own kind of fault."""

from dataclasses import replace

import numpy as np
import pytest

from rl_core.judging.figures import RegimeFigures
from rl_core.judging.metrics import largest_identical_share, prediction_metrics
from rl_core.judging.safety import (
    Behaviour,
    CloneAgreement,
    Evidence,
    HeadTraining,
    Imitation,
    judge_safety,
)
from rl_core.judging.settings import SAFETY_CHECKS, GateConfig
from rl_core.judging.stress import regime_figures, regimes_of

RNG = np.random.default_rng(0)
TARGETS = RNG.normal(0, 0.01, (1000, 2))
PREDICTIONS = 0.1 * TARGETS + RNG.normal(0, 0.0005, (1000, 2))
BEFORE_REGIMES = Evidence(
    horizons=("1h", "24h"),
    predictions=PREDICTIONS,
    targets=TARGETS,
    actions=RNG.integers(0, 3, 1000).astype(np.int8),
    action_names=("HOLD", "BUY", "SELL"),
    train=Imitation(loss=0.2, accuracy=0.9),
    test=Imitation(loss=0.3, accuracy=0.85),
    latencies_seconds=np.full((2, 100), 0.001),
    account_error=1e-9,
    other_decisions=0,
    regimes={},
    on_train=Behaviour(np.array([0.5, 0.3, 0.2]), RNG.random(500)),
    on_test=Behaviour(np.array([0.4, 0.3, 0.3]), RNG.random(500)),
    heads=HeadTraining({"1h": 0.5, "24h": 0.02}, gradient_share=0.1),
    clone=CloneAgreement(0.9, 0.8, 0.7, majority_share=0.75, num_actions=3),
    missing_links=(),
)


def in_two_regimes(actions: np.ndarray) -> dict[str, RegimeFigures]:
    """600 bars of low volatility, 350 of high, 50 of normal: too few to judge."""
    kind = np.repeat([0, 2, 1], [600, 350, 50]).astype(np.int8)
    regimes = regimes_of(kind, np.zeros(1000), trending_adx=0.2)
    return regime_figures(
        {n: regimes[n] for n in ("low_volatility", "normal_volatility", "high_volatility")},
        actions.astype(np.int8), ("HOLD", "BUY", "SELL"), PREDICTIONS,
        RNG.normal(0, 0.01, 999), 8766.0,
    )  # fmt: skip


SOUND = replace(BEFORE_REGIMES, regimes=in_two_regimes(BEFORE_REGIMES.actions))


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
    "no_regime_is_degenerate": replace(
        SOUND, regimes=in_two_regimes(np.where(np.arange(1000) < 600, SOUND.actions, 1))
    ),
    "behaviour_is_near_training": replace(
        SOUND, on_test=Behaviour(np.array([0.1, 0.3, 0.6]), RNG.random(500))
    ),
    "heads_were_trained": replace(
        SOUND, heads=HeadTraining({"1h": 0.5, "24h": 0.001}, gradient_share=0.1)
    ),
    # 75% right by always saying the same: balanced accuracy 1/3, no correlation
    "clone_imitates_the_teacher": replace(
        SOUND, clone=CloneAgreement(0.75, 1 / 3, 0.0, majority_share=0.75, num_actions=3)
    ),
    "lineage_is_complete": replace(SOUND, missing_links=("offline_dataset",)),
}


def failed(evidence: Evidence, config: GateConfig | None = None) -> list[str]:
    checks = judge_safety(evidence, config or GateConfig())
    assert tuple(check.name for check in checks) == tuple(SAFETY_CHECKS)
    return [check.name for check in checks if not check.passed]


def test_a_sound_policy_passes() -> None:
    assert failed(SOUND) == []


@pytest.mark.parametrize("name", SAFETY_CHECKS)
def test_each_fault_is_refused_by_its_check(name: str) -> None:
    found = failed(FAULTS[name])
    assert name in found
    if name != "predictions_are_finite":  # nothing else can be judged then
        assert found == [name]


def test_predictions_that_are_not_finite_pass_no_prediction_check() -> None:
    assert failed(FAULTS["predictions_are_finite"]) == list(SAFETY_CHECKS)[:4]


def test_untrained_heads_are_refused_unless_the_desk_does_without() -> None:
    untrained = replace(SOUND, predictions=None, heads=None)
    assert failed(untrained) == [*list(SAFETY_CHECKS)[:4], "heads_were_trained"]
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


@pytest.mark.parametrize(
    "clone",
    [
        CloneAgreement(0.70, 0.8, 0.7, 0.5, 3),  # not above 70%
        CloneAgreement(0.9, 1 / 3, 0.7, 0.5, 3),  # no better than chance on the rare actions
        CloneAgreement(0.9, 0.8, 0.05, 0.5, 3),
    ],
)
def test_a_clone_must_pass_all_three_measures(clone: CloneAgreement) -> None:
    assert failed(replace(SOUND, clone=clone)) == ["clone_imitates_the_teacher"]


def test_strengths_that_moved_are_refused() -> None:
    moved = replace(SOUND, on_test=Behaviour(SOUND.on_train.action_shares, np.full(500, 0.9)))
    assert failed(moved) == ["behaviour_is_near_training"]


def test_a_regime_too_rare_to_judge_refuses_nobody_and_is_named() -> None:
    constant_there = np.where(np.arange(1000) >= 950, 1, SOUND.actions)
    sound = replace(SOUND, regimes=in_two_regimes(constant_there))
    checks = {check.name: check for check in judge_safety(sound, GateConfig())}
    assert checks["no_regime_is_degenerate"].passed
    assert "too rare to judge: normal_volatility" in checks["no_regime_is_degenerate"].detail


def test_a_check_that_only_warns_is_marked_so() -> None:
    config = GateConfig(severity={"inference_is_fast": "warn"})
    slow = FAULTS["inference_is_fast"]
    blocking = {c.name: c.is_blocking for c in judge_safety(slow, config) if not c.passed}
    assert blocking == {"inference_is_fast": False}
    with pytest.raises(ValueError, match=r"severity must name checks of the gate .* was speed"):
        GateConfig(severity={"speed": "warn"})


def test_figures_by_regime_by_hand() -> None:
    regimes = regimes_of(np.array([0, 0, 2, 1], np.int8), np.array([0.1, 0.3, 0.3, 0.1]), 0.25)
    assert regimes["trending"].tolist() == [False, True, True, False]
    assert regimes["low_volatility"].tolist() == [True, True, False, False]
    figures = regime_figures(
        regimes, np.array([1, 1, 0, 2], np.int8), ("HOLD", "BUY", "SELL"), None,
        np.array([0.01, 0.03, -0.02]), 100.0,
    )  # fmt: skip
    assert figures["low_volatility"].action == "BUY"
    assert figures["low_volatility"].action_share == 1.0
    assert figures["low_volatility"].mean_return == pytest.approx(0.02)
    assert figures["normal_volatility"].sharpe is None
    assert figures["trending"].bars == 2


def test_one_dead_horizon_is_enough_to_be_refused() -> None:
    predictions = PREDICTIONS.copy()
    predictions[:100, 0] = 0.001
    assert failed(replace(SOUND, predictions=predictions)) == ["predictions_vary_across_states"]


def test_a_regime_exactly_at_its_limits_passes() -> None:
    at_limit = RegimeFigures(
        bars=100, action_share=0.995, action="BUY", identical_share=0.05, mean_return=0.0,
        sharpe=None,
    )  # fmt: skip
    assert failed(replace(SOUND, regimes={"x": at_limit})) == []


def test_figures_that_cannot_be_known_are_none() -> None:
    unknown = prediction_metrics(np.array([0.01, 0.02, 0.03]), np.full(3, np.nan))
    assert (unknown.r2_against_zero, unknown.implied_r2, unknown.correlation) == (None, 0.0, None)
    constant = prediction_metrics(np.full(3, 0.01), np.array([0.01, -0.02, 0.03]))
    assert constant.correlation is None


def test_a_regime_of_one_bar_earns_nothing_and_one_without_returns_is_left_out() -> None:
    regimes = regimes_of(np.array([0, 0, 0, 1], np.int8), np.array([0.1, 0.3, 0.3, 0.1]), 0.25)
    figures = regime_figures(
        regimes, np.array([1, 1, 0, 2], np.int8), ("HOLD", "BUY", "SELL"), None,
        np.array([0.01, 0.03, -0.02]), 100.0,
    )  # fmt: skip
    assert figures["normal_volatility"].mean_return == 0.0
    assert "high_volatility" not in figures
