"""GAE by hand: a cut-off window bootstraps, a broken rule does not."""

import pytest
import torch

from rl_core.learning.ppo.gae import compute_gae, normalise


def gae(
    terminated: list[bool], gae_lambda: float, cut_off: list[bool] | None = None
) -> list[float]:
    is_over = torch.tensor([[t] for t in terminated])
    cuts = torch.tensor([[c] for c in cut_off or [False] * 3])
    result = compute_gae(
        rewards=torch.tensor([[1.0], [2.0], [3.0]]),
        values=torch.tensor([[10.0], [20.0], [30.0]]),
        # where the window was cut off, the value of what was seen before the reset: 50
        next_values=torch.where(cuts, 50.0, torch.tensor([[20.0], [30.0], [40.0]])),
        terminated=is_over,
        ended=is_over | cuts,
        discount=0.5,
        gae_lambda=gae_lambda,
    )
    return result.flatten().tolist()


def test_a_window_that_was_cut_off_bootstraps_from_the_last_value() -> None:
    # deltas: 1 + 10 - 10, 2 + 15 - 20, 3 + 20 - 30
    assert gae([False] * 3, gae_lambda=0.0) == [1.0, -3.0, -7.0]
    # lambda 1: 1 + .5 x (-3 + .5 x -7), -3 + .5 x -7
    assert gae([False] * 3, gae_lambda=1.0) == pytest.approx([1 + 0.5 * -6.5, -6.5, -7.0])


def test_a_broken_rule_ends_the_trace_and_the_bootstrap() -> None:
    # the second step ends: delta 2 - 20, and nothing of the third reaches it
    assert gae([False, True, False], gae_lambda=0.8) == pytest.approx([1 + 0.4 * -18, -18.0, -7.0])


def test_lambda_one_is_the_discounted_return_minus_the_value() -> None:
    result = gae([False] * 3, gae_lambda=1.0)
    assert result[0] == pytest.approx(1 + 0.5 * 2 + 0.25 * 3 + 0.125 * 40 - 10)


def test_a_window_cut_off_midway_bootstraps_and_ends_the_trace() -> None:
    # the second delta bootstraps from 50: 2 + 25 - 20; the third does not reach it
    assert gae([False] * 3, 0.8, [False, True, False]) == pytest.approx([1 + 0.4 * 7, 7.0, -7.0])


def test_advantage_normalisation_is_safe_for_a_single_one() -> None:
    lone = torch.tensor([[3.0]])
    result = normalise(lone, lone.mean(), (lone - lone.mean()).square().mean())
    assert result.tolist() == [[0.0]]
    several = torch.tensor([[1.0, 3.0]])
    result = normalise(several, several.mean(), torch.tensor(1.0))
    assert result.tolist() == [[pytest.approx(-1.0), pytest.approx(1.0)]]
