"""Conformal intervals keep their promise; seeds are summarised by their middle half."""

import numpy as np
import pytest

from rl_core.judging.statistics.conformal import conformal_quantile, coverage_of
from rl_core.judging.statistics.seeds import interquartile_mean, summarise_seeds


def test_the_quantile_by_hand() -> None:
    residuals = np.array([0.3, -0.1, 0.2, -0.5, np.nan, 0.4, 0.6, -0.7, 0.8, 0.9])
    # nine are known: rank ceil(10 x 0.9) = 9, the largest
    assert conformal_quantile(residuals, 0.9) == 0.9
    assert conformal_quantile(residuals, 0.5) == 0.5
    assert conformal_quantile(residuals, 0.95) == float("inf")


def test_overlapping_targets_count_once() -> None:
    residuals = np.arange(1.0, 101.0)  # of which every tenth is independent: rank 10 of 10
    assert conformal_quantile(residuals, 0.9, overlap_bars=10) == 100.0
    assert conformal_quantile(residuals, 0.9, overlap_bars=5) == 95.0  # 19 of 20
    assert conformal_quantile(residuals, 0.9, overlap_bars=20) == float("inf")


def test_a_new_residual_is_held_as_often_as_promised() -> None:
    rng = np.random.default_rng(0)
    held = [
        abs(rng.standard_t(3)) <= conformal_quantile(rng.standard_t(3, 99), 0.9)
        for _ in range(4000)
    ]
    assert np.mean(held) == pytest.approx(0.9, abs=0.015)


def test_coverage_counts_known_rows_alone() -> None:
    assert coverage_of(np.array([0.1, -0.3, np.nan]), 0.2) == 0.5
    assert coverage_of(np.array([np.nan]), 0.2) is None


def test_the_interquartile_mean_by_hand() -> None:
    assert interquartile_mean(np.array([1.0, 2.0, 3.0, 100.0])) == 2.5
    assert interquartile_mean(np.array([1.0, 2.0, 9.0])) == 4.0  # nothing to cut of three


def test_seeds_have_an_interval_that_holds_their_middle() -> None:
    summary = summarise_seeds([1.0, 2.0, 3.0, 4.0, 50.0])
    assert summary is not None
    assert summary.iqm == 3.0
    assert summary.low <= 3.0 <= summary.high
    assert (summary.low, summary.high) != (3.0, 3.0)
    assert summarise_seeds([1.0, 2.0]) is None


def test_overlapping_residuals_count_as_the_independent_ones_among_them() -> None:
    # 105 residuals of targets over 10 bars are 10 independent ones: ceil(0.9 x 11) = 10, the last
    assert conformal_quantile(np.arange(1.0, 106.0), 0.9, overlap_bars=10) == 105.0


def test_three_seeds_are_enough_for_a_summary_and_more_confidence_is_a_wider_interval() -> None:
    assert summarise_seeds([1.0, 2.0, 3.0]) is not None
    half = summarise_seeds([1.0, 2.0, 3.0, 4.0, 50.0], confidence=0.5)
    assert half is not None
    assert half.low < half.high
