"""The probability of overfitting: by hand, on noise, and with one trial that is truly better."""

import numpy as np
import pytest

from rl_core.base.errors import TollgateError
from rl_core.judging.statistics.selection import selection_risk


def test_by_hand_with_two_blocks() -> None:
    """Trial 0 is best in the first half and worst in the second, trial 1 the other way round."""
    up, down = [1.0, 3.0], [-1.0, -3.0]
    returns = np.array([up + down, down + up, [0.1, -0.1, 0.1, -0.1]]).T
    assert selection_risk(returns, 2).overfitting == 1.0
    steady = np.array([up + up, down + down, [0.1, -0.1, 0.1, -0.1]]).T
    assert selection_risk(steady, 2).overfitting == 0.0


def test_on_noise_it_is_about_one_half() -> None:
    rng = np.random.default_rng(0)
    found = [selection_risk(rng.standard_normal((800, 10)), 8).overfitting for _ in range(100)]
    assert 0.35 <= np.mean(found) <= 0.65


def test_a_planted_trial_is_not_overfitting() -> None:
    rng = np.random.default_rng(1)
    returns = rng.standard_normal((2000, 10))
    returns[:, 3] += 0.2
    assert selection_risk(returns, 16).overfitting <= 0.05


def test_trials_of_different_scale_are_judged_by_their_ratio() -> None:
    rng = np.random.default_rng(2)
    returns = rng.standard_normal((1600, 6)) + np.array([0.15, 0, 0, 0, 0, 0])
    scaled = returns * np.array([1e-3, 1, 10, 1, 1, 1])
    assert selection_risk(scaled, 8).overfitting == selection_risk(returns, 8).overfitting


def test_one_trial_or_too_few_bars_are_refused() -> None:
    with pytest.raises(TollgateError, match="at least 2 trials of 32 bars, was 1 of 100"):
        selection_risk(np.zeros((100, 1)), 16)
    with pytest.raises(TollgateError, match="was 3 of 20"):
        selection_risk(np.zeros((20, 3)), 16)


def test_good_trials_that_are_alike_are_no_loss_whichever_is_picked() -> None:
    rng = np.random.default_rng(5)
    common = rng.standard_normal(1600)[:, None]
    good = common + 0.4 + 0.01 * rng.standard_normal((1600, 6))
    assert selection_risk(good, 16).loss == 0.0
    bad = common - 0.4 + 0.01 * rng.standard_normal((1600, 6))
    assert selection_risk(bad, 16).loss == 1.0


def test_luck_that_turns_is_overfit_and_candidates_alike_are_even() -> None:
    up, down = [1.0, 3.0], [-1.0, -3.0]
    turned = selection_risk(np.array([up + down, down + up]).T, 2)
    assert (turned.overfitting, turned.loss) == (1.0, 1.0)
    alike = selection_risk(np.array([up * 2, up * 2, up * 2]).T, 2)
    assert (alike.overfitting, alike.loss) == (0.5, 0.0)


def test_the_one_that_is_best_everywhere_was_not_picked_by_luck() -> None:
    # mean / sd is 3 of the first and 5 of the second, in every block
    assert selection_risk(np.array([[2.0, 4.0] * 4, [0.4, 0.6] * 4]).T, 2).overfitting == 0.0
