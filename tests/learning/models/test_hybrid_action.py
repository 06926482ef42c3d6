"""The hybrid action's probabilities are those of its parts."""

import math

import pytest
import torch

from rl_core.learning.models.actor_critic import ActorCritic, Heads
from rl_core.learning.models.hybrid_action import (
    HybridAction,
    action_log_prob,
    divergence,
    draw_noise,
    most_likely_action,
    sample_action,
)
from rl_core.learning.settings import ModelConfig

MODEL = ActorCritic(34, 3, 0, ModelConfig())


def heads(probabilities: list[float], strength_logit: float, rows: int = 1) -> Heads:
    logits = torch.tensor(probabilities).log().expand(rows, 3)
    empty = torch.zeros(rows, 0)
    return Heads(logits, torch.full((rows,), strength_logit), torch.zeros(rows), empty, None)


def test_an_order_has_the_probability_of_its_category_times_that_of_its_strength() -> None:
    with torch.no_grad():
        MODEL.strength_log_std.fill_(math.log(0.5))
    action = HybridAction(torch.tensor([1]), torch.tensor([0.8]))
    result = action_log_prob(MODEL, heads([0.5, 0.3, 0.2], 0.3), action)
    # normal density of z = (0.8 - 0.3) / 0.5 = 1, sd 0.5
    density = math.exp(-0.5) / (0.5 * math.sqrt(2 * math.pi))
    assert result.log_prob.item() == pytest.approx(math.log(0.3 * density))
    entropy = -(0.5 * math.log(0.5) + 0.3 * math.log(0.3) + 0.2 * math.log(0.2))
    assert result.entropy.item() == pytest.approx(entropy)


def test_a_hold_draws_no_strength() -> None:
    action = HybridAction(torch.tensor([0]), torch.tensor([99.0]))
    assert action_log_prob(
        MODEL, heads([0.5, 0.3, 0.2], 0.3), action
    ).log_prob.item() == pytest.approx(math.log(0.5))


def test_samples_follow_the_probabilities_and_the_mean_strength() -> None:
    with torch.no_grad():
        MODEL.strength_log_std.fill_(math.log(0.5))
    generator = torch.Generator().manual_seed(0)
    noise = draw_noise(100_000, 3, generator, torch.device("cpu"))
    action = sample_action(MODEL, heads([0.6, 0.3, 0.1], 0.7, rows=100_000), noise)
    shares = torch.bincount(action.category, minlength=3) / 100_000
    assert shares.tolist() == pytest.approx([0.6, 0.3, 0.1], abs=0.006)
    assert action.strength_logit.mean().item() == pytest.approx(0.7, abs=0.01)
    assert action.strength_logit.std().item() == pytest.approx(0.5, abs=0.01)


def test_the_most_likely_action_is_the_mode() -> None:
    action = most_likely_action(heads([0.2, 0.3, 0.5], 0.0))
    assert (action.category.item(), action.strength.item()) == (2, 0.5)


def test_the_divergence_is_that_of_the_category_and_of_the_strength_when_ordered() -> None:
    with torch.no_grad():
        MODEL.strength_log_std.fill_(math.log(0.5))
    policy, reference = heads([0.5, 0.3, 0.2], 1.0), heads([0.2, 0.3, 0.5], 0.0)
    category = 0.2 * math.log(0.2 / 0.5) + 0.5 * math.log(0.5 / 0.2)
    # KL(N(0, 1) || N(1, .5)) = ln .5 + (1 + 1) / (2 x .25) - .5
    strength = math.log(0.5) + 2 / 0.5 - 0.5
    result = divergence(MODEL, policy, reference, torch.tensor(1.0))
    assert result.item() == pytest.approx(category + 0.8 * strength, rel=1e-5)
    same = divergence(MODEL, policy, policy, torch.tensor(0.5))
    assert same.item() == pytest.approx(0.0, abs=1e-6)
