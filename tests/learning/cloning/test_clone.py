"""Cloning learns what can be learned and keeps its best epoch."""

from dataclasses import replace

import pytest
import torch

from rl_core.base.errors import TollgateError
from rl_core.learning.cloning.clone import (
    Demonstrations,
    add_noise,
    class_weights,
    clone_behaviour,
    cloning_scores,
    windows,
)
from rl_core.learning.cloning.figures import CloningEpoch
from rl_core.learning.cloning.overfitting import overfitting_report
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.settings import CloningConfig, ModelConfig

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
        model,
        demonstrations(2000, 0),
        demonstrations(500, 1),
        config,
        42,
        told.append,
        num_market=30,
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
            ActorCritic(34, 3, 1, SMALL),
            constant,
            rows,
            CloningConfig(),
            42,
            lambda _: None,
            num_market=30,
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
    _, history = clone_behaviour(
        model, rows, demonstrations(32, 1), config, 42, lambda _: None, num_market=30
    )
    assert history[0].skipped_updates == 8
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    few = config.model_copy(update={"max_skipped_updates": 3})
    with pytest.raises(
        TollgateError, match="must be finite, was not in loss, gradients for 8 updates"
    ):
        clone_behaviour(model, rows, demonstrations(32, 1), few, 42, lambda _: None, num_market=30)


def imbalanced(rows: int, seed: int) -> Demonstrations:
    """Nine rows in ten are HOLD, and the features tell the orders only dimly."""
    rows_of = demonstrations(rows, seed)
    generator = torch.Generator().manual_seed(seed + 100)
    is_order = torch.rand(rows, generator=generator) < 0.1
    side = 1 + (torch.rand(rows, generator=generator) < 0.5).long()
    actions = torch.where(is_order, side, 0)
    states = rows_of.states.clone()
    states[:, 0] = (actions == 1) * 1.0 - (actions == 2) * 1.0
    states[:, 0] += 0.6 * torch.randn(rows, generator=generator)
    return replace(rows_of, actions=actions, states=states)


@pytest.mark.parametrize("remedy", ["weighted", "sampler"])
def test_balancing_finds_the_rare_actions(remedy: str) -> None:
    recall: dict[str, float] = {}
    for balance in ("none", remedy):
        config = CloningConfig(epochs=4, class_balance=balance, patience_epochs=99)  # type: ignore[arg-type]
        torch.manual_seed(0)
        model = ActorCritic(34, 3, 1, SMALL)
        best, history = clone_behaviour(
            model,
            imbalanced(3000, 0),
            imbalanced(1000, 1),
            config,
            42,
            lambda _: None,
            num_market=30,
        )
        recall[balance] = history[best - 1].validation.balanced_accuracy
    assert recall[remedy] > recall["none"] + 0.05


def test_class_weights_by_hand() -> None:
    actions = torch.tensor([0] * 872 + [1] * 312 + [2] * 269)
    # total / (3 x count)
    assert class_weights(actions, 3).tolist() == pytest.approx([0.5554, 1.5524, 1.8005], abs=1e-4)
    assert class_weights(torch.tensor([0, 0, 1]), 3)[2].item() == 0.0  # never seen, never weighed


def test_focal_loss_trains_and_plain_imitation_loss_is_reported() -> None:
    config = CloningConfig(epochs=8, batch_size=32, class_balance="focal")
    _, best, history = clone(config)
    kept = history[best - 1].validation
    assert kept.loss < kept.imitation_loss + 0.2 * sum(kept.return_losses)
    assert kept.accuracy > 0.6


def test_the_risk_head_learns_the_regime_to_come_and_ignores_the_unknown() -> None:
    shape = SMALL.model_copy(update={"risk_head": True})
    _, best, history = clone(CloningConfig(epochs=12, batch_size=32, risk_weight=1.0), shape)
    known = history[best - 1].validation.risk_accuracy
    assert known is not None
    assert known > 0.85  # the commonest class has 0.66
    assert clone(CloningConfig(epochs=1))[2][0].validation.risk_accuracy is None


def test_noise_touches_market_features_alone_and_leaves_the_dataset_as_it_is() -> None:
    model, rows = ActorCritic(34, 3, 1, SMALL), demonstrations(4000, 0)
    model.standardiser.scale.fill_(2.0)
    generator = torch.Generator().manual_seed(0)
    noisy = add_noise(model, rows.states, CloningConfig(noise=0.1), generator, 30)
    added = noisy - rows.states
    assert added[:, :30].std().item() == pytest.approx(0.2, rel=0.02)
    assert not added[:, 30:].any()
    assert torch.equal(rows.states, demonstrations(4000, 0).states)
    assert add_noise(model, rows.states, CloningConfig(), generator, 30) is rows.states


def test_a_recurrent_clone_learns_what_only_memory_can_tell() -> None:
    def remembered(count: int, seed: int) -> Demonstrations:
        """The action follows the first feature of the row before."""
        rows = demonstrations(count, seed)
        before = torch.cat([torch.zeros(1), rows.states[:-1, 0]])
        actions = (before > 0.5) * 1 + (before < -0.5) * 2
        return replace(rows, actions=torch.where(rows.starts, 0, actions))

    accuracy: list[float] = []
    for layers in (0, 1):
        torch.manual_seed(0)
        model = ActorCritic(34, 3, 1, SMALL.model_copy(update={"gru_layers": layers}))
        config = CloningConfig(epochs=25, learning_rate=3e-3, patience_epochs=25)
        best, history = clone_behaviour(
            model,
            remembered(4000, 0),
            remembered(1000, 1),
            config,
            42,
            lambda _: None,
            num_market=30,
        )
        accuracy.append(history[best - 1].validation.accuracy)
    assert accuracy[0] < 0.5
    assert accuracy[1] > 0.8


def test_windows_cover_every_row_and_only_recurrent_networks_have_long_ones() -> None:
    config, cpu = CloningConfig(sequence_bars=32), torch.device("cpu")
    plain = windows(ActorCritic(34, 3, 1, SMALL), 100, config, cpu)
    assert plain.shape == (1, 100)
    recurrent = SMALL.model_copy(update={"gru_layers": 1})
    long = windows(ActorCritic(34, 3, 1, recurrent), 100, config, cpu)
    assert long.shape == (32, 4)
    assert set(long.flatten().tolist()) == set(range(100))
    assert (long.diff(dim=0) == 1).all()


@pytest.mark.parametrize(
    ("train_loss", "validation_loss", "train_accuracy", "validation_accuracy", "is_overfit"),
    [(0.1, 0.25, 0.9, 0.85, False), (0.1, 0.31, 0.9, 0.85, True), (0.1, 0.2, 0.95, 0.84, True)],
)
def test_the_overfitting_report_advises_what_is_not_in_use_yet(
    train_loss: float,
    validation_loss: float,
    train_accuracy: float,
    validation_accuracy: float,
    is_overfit: bool,
) -> None:
    _, _, history = clone(CloningConfig(epochs=1))
    scores = history[0].train
    epoch = history[0].model_copy(
        update={
            "train": scores.model_copy(
                update={"imitation_loss": train_loss, "accuracy": train_accuracy}
            ),
            "validation": scores.model_copy(
                update={"imitation_loss": validation_loss, "accuracy": validation_accuracy}
            ),
        }
    )
    config, shape = CloningConfig(noise=0.1), ModelConfig(dropout=0.3, encoder_layers=1)
    report = overfitting_report(1, [epoch], 1000, config, shape)
    assert report.is_overfit is is_overfit
    advice = " ".join(report.advice)
    for flag, is_advised in (
        ("--weight-decay", True), ("--hidden-dim", True), ("more data", True),
        ("--dropout", False), ("--noise", False), ("--num-layers", False),
    ):  # fmt: skip
        assert (flag in advice) is (is_advised and is_overfit)


@pytest.mark.parametrize(("seeds", "was"), [((1, 1), r"\[1, 1\]"), ((-1,), r"\[-1\]")])
def test_seeds_must_differ(seeds: tuple[int, ...], was: str) -> None:
    with pytest.raises(ValueError, match=f"seeds must differ and be >= 0, was {was}"):
        CloningConfig(seeds=seeds)
