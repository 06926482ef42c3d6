"""Cloning learns what can be learned and keeps its best epoch."""

from dataclasses import replace

import pytest
import torch

from rl_core.errors import TollgateError
from rl_core.models.actor_critic import ActorCritic
from rl_core.models.config import ModelConfig
from rl_core.training.cloning import CloningEpoch, Demonstrations, clone_behaviour, cloning_scores
from rl_core.training.config import CloningConfig

SMALL = ModelConfig(hidden_dim=32, head_dim=16, dropout=0.0)


def demonstrations(rows: int, seed: int) -> Demonstrations:
    """A teacher that acts on the first feature, and returns that follow the second."""
    generator = torch.Generator().manual_seed(seed)
    states = torch.randn(rows, 34, generator=generator)
    actions = (states[:, 0] > 0.5) * 1 + (states[:, 0] < -0.5) * 2
    returns = 0.01 * states[:, 1:2] + 0.005 * torch.randn(rows, 1, generator=generator)
    returns[::3] = torch.nan
    strengths = torch.where(actions > 0, torch.tensor(0.8), torch.tensor(0.0))
    risk = (states[:, 2] > 0.4) * 1 + (states[:, 2] > 1.0) * 1
    risk[::5] = -1
    starts = torch.zeros(rows, dtype=torch.bool)
    starts[::50] = True
    return Demonstrations(states, actions, strengths, returns, risk, starts)


def clone(
    config: CloningConfig, shape: ModelConfig = SMALL
) -> tuple[ActorCritic, int, list[CloningEpoch]]:
    torch.manual_seed(0)
    model = ActorCritic(34, 3, 1, shape)
    told: list[CloningEpoch] = []
    best, history = clone_behaviour(
        model, demonstrations(2000, 0), demonstrations(500, 1), config, 42, told.append
    )
    assert told == history
    return model, best, history


def test_the_clone_learns_action_strength_and_return() -> None:
    model, best, history = clone(CloningConfig(epochs=15, batch_size=32, return_weight=1.0))
    scores = history[best - 1].validation
    assert scores.accuracy > 0.8 > 2 * scores.majority_share
    assert scores.balanced_accuracy > 0.8
    rows = demonstrations(500, 1)
    heads = model(rows.states)
    assert heads.strength is not None
    assert heads.strength[rows.actions > 0].sigmoid().mean().item() == pytest.approx(0.8, abs=0.05)
    predicted = model.predicted_returns(heads.returns)[:, 0]
    known = ~rows.returns[:, 0].isnan()
    together = torch.stack([predicted[known], rows.returns[known, 0]])
    assert torch.corrcoef(together)[0, 1] > 0.7  # 0.89 at the most, given the noise
    losses = [epoch.train.return_losses[0] for epoch in history]
    assert losses[-1] < losses[0]


def test_the_weights_kept_are_those_of_the_best_epoch() -> None:
    config = CloningConfig(epochs=12, patience_epochs=12)
    model, best, history = clone(config)
    lowest = min(history, key=lambda epoch: epoch.validation.loss)
    assert best == lowest.epoch
    again = cloning_scores(model, demonstrations(500, 1), config)
    assert again.loss == pytest.approx(lowest.validation.loss, rel=1e-6)


def test_it_stops_when_validation_no_longer_improves() -> None:
    _, best, history = clone(CloningConfig(epochs=200, patience_epochs=3, learning_rate=0.01))
    assert len(history) == best + 3


def test_a_seed_gives_one_clone() -> None:
    first, second = (clone(CloningConfig(epochs=2))[0].state_dict() for _ in range(2))
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_unit_fitting_needs_targets_that_vary() -> None:
    rows = demonstrations(100, 0)
    constant = replace(rows, returns=torch.zeros(100, 1))
    with pytest.raises(
        TollgateError, match=r"must vary at every horizon, was a robust scale of 0\.0"
    ):
        clone_behaviour(
            ActorCritic(34, 3, 1, SMALL), constant, rows, CloningConfig(), 42, lambda _: None
        )


def test_scores_of_a_constant_policy_by_hand() -> None:
    model = ActorCritic(34, 3, 1, SMALL)
    with torch.no_grad():
        for parameter in model.policy_head.parameters():
            parameter.zero_()
        last = model.policy_head[-1]
        assert isinstance(last, torch.nn.Linear)
        last.bias.copy_(torch.tensor([9.0, 0.0, 0.0, 0.0]))
    rows = demonstrations(10, 0)
    actions = torch.tensor([0, 0, 0, 0, 0, 0, 1, 1, 2, 2])
    scores = cloning_scores(model, replace(rows, actions=actions), CloningConfig())
    assert scores.accuracy == pytest.approx(0.6)
    assert scores.majority_share == pytest.approx(0.6)
    assert scores.balanced_accuracy == pytest.approx(1 / 3)


def test_a_poisoned_row_changes_nothing_and_is_counted() -> None:
    rows = demonstrations(64, 0)
    rows.strengths[rows.actions > 0] = torch.inf
    model = ActorCritic(34, 3, 1, SMALL)
    config = CloningConfig(epochs=1, batch_size=8, max_skipped_updates=100)
    with torch.no_grad():
        before = {name: p.clone() for name, p in model.named_parameters()}
    _, history = clone_behaviour(model, rows, demonstrations(32, 1), config, 42, lambda _: None)
    assert history[0].skipped_updates == 8
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    few = config.model_copy(update={"max_skipped_updates": 3})
    with pytest.raises(
        TollgateError, match="must be finite, was not in loss, gradients for 8 updates"
    ):
        clone_behaviour(model, rows, demonstrations(32, 1), few, 42, lambda _: None)
