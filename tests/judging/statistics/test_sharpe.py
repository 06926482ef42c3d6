"""Sharpe ratios against the numbers of their papers, and the bootstrap against known truths."""

import numpy as np
import pytest

from rl_core.judging.statistics.sharpe import (
    SharpeBootstrap,
    bootstrap_sharpes,
    deflated_sharpe,
    expected_maximum,
    probabilistic_sharpe,
    sharpe_figures,
    sharpe_of,
)
from rl_core.trading.performance import sharpe_standard_error

DAYS = 250


def paper(trials: int) -> float:
    """Bailey and Lopez de Prado (2014), numerical example: annual Sharpe 2.5 over five years."""
    return deflated_sharpe(2.5 / np.sqrt(DAYS), 1250, -3.0, 10.0, trials, 0.5 / DAYS)


def test_the_deflated_sharpe_ratio_of_the_paper() -> None:
    assert np.sqrt(0.5 / DAYS) * expected_maximum(100) == pytest.approx(0.1132, abs=5e-5)
    assert paper(100) == pytest.approx(0.9004, abs=5e-5)
    assert paper(46) == pytest.approx(0.9505, abs=5e-5)


def test_the_probabilistic_sharpe_ratio_of_the_paper() -> None:
    assert probabilistic_sharpe(0.458, 0.0, 24, 0.0, 3.0) == pytest.approx(0.982, abs=5e-4)
    assert probabilistic_sharpe(0.458, 0.0, 24, -2.448, 10.164) == pytest.approx(0.913, abs=5e-4)


def test_the_expected_maximum_of_normals() -> None:
    assert expected_maximum(100) == pytest.approx(2.5306, abs=5e-5)
    assert expected_maximum(1) == 0.0
    draws = np.random.default_rng(0).standard_normal((20_000, 10)).max(axis=1)
    assert expected_maximum(10) == pytest.approx(draws.mean(), abs=0.05)


def test_one_trial_is_not_deflated() -> None:
    alone = deflated_sharpe(0.1, 1000, 0.0, 3.0, 1, 0.5)
    assert alone == pytest.approx(probabilistic_sharpe(0.1, 0.0, 1000, 0.0, 3.0))
    assert deflated_sharpe(0.1, 1000, 0.0, 3.0, 2, 0.01) < alone


def test_the_standard_error_of_lo_2002() -> None:
    # Lo (2002), table 1: SR 0.5, T = 12 -> 0.306 (with T; ours divides by T - 1)
    assert sharpe_standard_error(0.5, 13) == pytest.approx(np.sqrt((1 + 0.125) / 12))
    assert sharpe_standard_error(0.5, 13) == pytest.approx(0.306, abs=5e-4)


def test_the_bootstrap_finds_what_was_found() -> None:
    returns = np.random.default_rng(0).normal(0.001, 0.01, (500, 2))
    result = bootstrap_sharpes(returns, 200, seed=0)
    assert result.found[0] == pytest.approx(returns[:, 0].mean() / returns[:, 0].std())
    again = bootstrap_sharpes(returns, 200, seed=0)
    assert np.array_equal(result.replicates, again.replicates)
    assert result.difference(0, 1, 0.95)[0] == pytest.approx(result.found[0] - result.found[1])


def test_an_account_against_itself_is_never_better() -> None:
    column = np.random.default_rng(1).normal(0.01, 0.01, 400)
    result = bootstrap_sharpes(np.column_stack([column, column]), 200, seed=0)
    assert result.p_better(0, 1) == 1.0


def test_an_account_that_never_moved_has_ratio_zero() -> None:
    moving = np.random.default_rng(2).normal(0.01, 0.01, 400)
    result = bootstrap_sharpes(np.column_stack([moving, np.zeros(400)]), 300, seed=0)
    assert result.found[1] == 0.0
    assert (result.replicates[:, 1] == 0.0).all()
    assert result.p_better(0, 1) == pytest.approx(1 / 301)
    assert sharpe_of(np.zeros(5)) is None
    assert bootstrap_sharpes(np.zeros((100, 2)), 10, seed=0).p_better(0, 1) == 1.0


@pytest.mark.parametrize("autocorrelation", [0.0, 0.3])
def test_the_difference_test_keeps_its_level_on_correlated_returns(autocorrelation: float) -> None:
    """Two accounts of equal ratio, correlated with each other and over time: nominal 5%."""
    rng = np.random.default_rng(3)
    rejected, rounds = 0, 300
    for seed in range(rounds):
        noise = rng.standard_normal((600, 3))
        for t in range(1, 600):
            noise[t] += autocorrelation * noise[t - 1]
        returns = noise[:, :2] + noise[:, 2:]
        rejected += bootstrap_sharpes(returns, 199, seed).p_better(0, 1) <= 0.05
    # Bin(300, 5%) is between 2% and 9% with 99%
    assert 0.02 <= rejected / rounds <= 0.09


def test_the_interval_covers_the_truth() -> None:
    rng = np.random.default_rng(4)
    truth, rounds = 0.1, 200
    held = 0
    for seed in range(rounds):
        returns = rng.normal(truth, 1.0, (500, 1))
        low, high = bootstrap_sharpes(returns, 199, seed).interval(0, 0.95)
        held += low <= truth <= high
    assert held / rounds >= 0.90


def test_the_figures_of_an_account_by_hand() -> None:
    # mean 0.01, sd 0.0141421: 0.707107 a bar and 7.07107 a year of 100 bars
    figures = sharpe_figures(np.array([0.01, 0.03, -0.01, 0.01]), 100.0)
    assert figures is not None
    assert (figures.sharpe, figures.low, figures.high) == pytest.approx(
        (7.0711, -4.9312, 19.0733), abs=1e-4
    )


def test_intervals_are_the_quantiles_of_the_replications() -> None:
    drawn = np.column_stack([np.arange(101.0), np.zeros(101)])
    bootstrap = SharpeBootstrap(np.array([50.0, 0.0]), drawn, 1)
    assert bootstrap.interval(0, 0.9) == pytest.approx((5.0, 95.0))
    assert bootstrap.difference(0, 1, 0.9) == pytest.approx((50.0, 5.0, 95.0))


def test_blocks_are_as_long_as_volatility_clusters() -> None:
    rng = np.random.default_rng(0)
    calm_and_wild = np.repeat(np.tile([0.01, 0.001], 10), 100)  # by turns, 100 bars each
    returns = rng.choice([-1.0, 1.0], 2000) * calm_and_wild
    assert bootstrap_sharpes(returns[:, None], 10, 0).block_bars >= 50
