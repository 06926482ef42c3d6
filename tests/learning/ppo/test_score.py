"""The composite score by hand."""

import math

import pytest

from rl_core.learning.ppo.score import composite_score

HEALTHY = {
    "average_return": 0.01, "win_rate": 0.6, "reward_mean": 0.2, "reward_sd": 0.4,
    "explained_variance": 0.5, "entropy": math.log(3) / 2, "num_actions": 3,
    "approx_kl": 0.01, "clip_fraction": 0.1,
}  # fmt: skip


def test_the_parts_are_weighed_40_20_20_10_and_minus_10() -> None:
    result = composite_score(**HEALTHY)  # type: ignore[arg-type]
    # 1% x 0.6; 0.2 / 0.4; 0.5; half of the largest entropy; no unrest
    assert result.score == pytest.approx(40 * 0.6 + 20 * 0.5 + 20 * 0.5 + 10 * 0.5)
    assert result.colour == "green"


def test_high_kl_or_clipping_takes_ten_points_at_the_most() -> None:
    calm = composite_score(**HEALTHY).score  # type: ignore[arg-type]
    half = composite_score(**{**HEALTHY, "approx_kl": 0.06})  # type: ignore[arg-type]
    assert half.score == pytest.approx(calm - 5)
    wild = composite_score(**{**HEALTHY, "approx_kl": 9.0, "clip_fraction": 1.0})  # type: ignore[arg-type]
    assert wild.score == pytest.approx(calm - 10)


def test_what_is_unknown_counts_nothing_and_losses_are_red() -> None:
    unknown = composite_score(
        average_return=None, win_rate=None, reward_mean=None, reward_sd=None,
        explained_variance=None, entropy=None, num_actions=3, approx_kl=None, clip_fraction=None,
    )  # fmt: skip
    assert (unknown.score, unknown.colour) == (0.0, "yellow")
    losing = composite_score(
        **{
            **HEALTHY,
            "average_return": -0.02,
            "win_rate": 1.0,  # type: ignore[arg-type]
            "explained_variance": -1.0,
        }
    )
    assert losing.profitability == -1.0
    assert losing.colour == "red"
