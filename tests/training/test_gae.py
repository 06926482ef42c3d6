"""GAE by hand: a cut-off window bootstraps, a broken rule does not."""

import pytest
import torch

from rl_core.training.gae import compute_gae


def gae(terminated: list[bool], gae_lambda: float) -> list[float]:
    result = compute_gae(
        rewards=torch.tensor([[1.0], [2.0], [3.0]]),
        values=torch.tensor([[10.0], [20.0], [30.0]]),
        last_value=torch.tensor([40.0]),
        terminated=torch.tensor([[t] for t in terminated]),
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
