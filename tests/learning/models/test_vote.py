"""An ensemble's vote by hand."""

import pytest
import torch

from rl_core.learning.models.actor_critic import Heads
from rl_core.learning.models.vote import vote


def member(probabilities: list[float], strength: float) -> Heads:
    logits = torch.tensor([probabilities]).log()
    z = torch.logit(torch.tensor([strength]))
    return Heads(logits, z, torch.zeros(1), torch.zeros(1, 0))


def test_the_majority_decides_and_those_who_agree_give_the_mean_strength() -> None:
    action, strength = vote(
        [member([0.1, 0.8, 0.1], 0.4), member([0.3, 0.5, 0.2], 0.6), member([0.9, 0.05, 0.05], 0.1)]
    )
    assert action.item() == 1
    assert strength.item() == pytest.approx(0.5)


def test_a_tie_goes_to_the_more_probable_action() -> None:
    action, strength = vote([member([0.6, 0.4, 0.0], 0.2), member([0.1, 0.0, 0.9], 0.8)])
    assert action.item() == 2  # mean probabilities 0.35, 0.2, 0.45
    assert strength.item() == pytest.approx(0.8)
