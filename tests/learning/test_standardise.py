"""Heads are shrunk to the size that rows they were not trained on bear out."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.settings import ModelConfig
from rl_core.learning.standardise import LEAST_SHRINKAGE, shrink_heads

NAN = float("nan")


def model_of(horizons: int = 1, scale: float = 0.5) -> ActorCritic:
    model = ActorCritic(4, 3, horizons, ModelConfig(hidden_dim=8, head_dim=0))
    model.return_scale.fill_(scale)
    return model


def test_a_slope_by_hand() -> None:
    # forecasts 0.5 x (2, -2, 4) = 1, -1, 2; returns 0.3, -0.1, 0.6: (0.3 + 0.1 + 1.2) / 6
    model = model_of()
    said = torch.tensor([[2.0], [-2.0], [4.0], [9.0]])
    came = torch.tensor([[0.3], [-0.1], [0.6], [NAN]])
    shrink_heads(model, said, came)
    assert model.return_shrinkage.item() == pytest.approx(1.6 / 6)
    assert model.forecasts(torch.tensor([2.0])).item() == pytest.approx(1.6 / 6)


@pytest.mark.parametrize(
    ("slope", "expected"),
    [(3.0, 1.0), (0.25, 0.25), (0.0, LEAST_SHRINKAGE), (-1.0, LEAST_SHRINKAGE)],
)
def test_a_head_is_never_made_louder_nor_turned_round(slope: float, expected: float) -> None:
    model, said = model_of(2), torch.randn(500, 2, generator=torch.Generator().manual_seed(1))
    came = torch.stack([slope * 0.5 * said[:, 0], torch.full((500,), NAN)], dim=1)
    shrink_heads(model, said, came)
    assert model.return_shrinkage.tolist() == pytest.approx([expected, 1.0], rel=1e-5)


@given(st.integers(0, 2**31), st.floats(0.1, 20))
def test_shrinking_never_makes_the_error_larger_on_those_rows(seed: int, loudness: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    came = torch.randn(200, 1, generator=generator) * 0.01
    said = loudness * (came + 0.05 * torch.randn(200, 1, generator=generator))
    model = model_of(scale=1.0)
    before = (model.forecasts(said) - came).square().sum()
    shrink_heads(model, said, came)
    assert (model.forecasts(said) - came).square().sum() <= before * (1 + 1e-6)


def test_shrinking_anew_forgets_what_was_there() -> None:
    model, said = model_of(), torch.tensor([[1.0], [-1.0]])
    for _ in range(2):
        shrink_heads(model, said, 0.2 * said)
        assert model.return_shrinkage.item() == pytest.approx(0.4)
