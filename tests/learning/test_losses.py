"""Losses against literals, and the unknown leaves no trace."""

import pytest
import torch

from rl_core.learning.losses import (
    focal_loss,
    masked_huber_loss,
    ppo_policy_loss,
    strength_loss,
    value_loss,
)


def test_the_clipped_surrogate_by_hand() -> None:
    old = torch.zeros(4)
    new = torch.tensor([1.5, 1.5, 0.5, 0.5]).log()
    advantage = torch.tensor([1.0, -1.0, 1.0, -1.0])
    result = ppo_policy_loss(new, old, advantage, clip=0.2)
    # min(ratio A, clipped A): 1.2, -1.5, 0.5, -0.8
    assert result.loss.item() == pytest.approx(-(1.2 - 1.5 + 0.5 - 0.8) / 4)
    assert result.clip_fraction.item() == 1.0
    # k3: ratio - 1 - log ratio
    assert result.approx_kl.item() == pytest.approx(
        (0.5 - 0.4054651 + -0.5 + 0.6931472) / 2, abs=1e-6
    )


def test_an_absurd_ratio_stays_finite() -> None:
    result = ppo_policy_loss(torch.tensor([500.0]), torch.zeros(1), torch.tensor([-1.0]), clip=0.2)
    assert torch.isfinite(result.loss)


def test_huber_is_square_within_delta_and_linear_beyond() -> None:
    prediction = torch.tensor([[0.5, 3.0], [0.0, 0.0]])
    target = torch.zeros(2, 2)
    assert masked_huber_loss(prediction, target, 1.0).tolist() == pytest.approx([0.0625, 1.25])


def test_an_unknown_target_changes_neither_loss_nor_gradient() -> None:
    known = torch.tensor([[1.0], [2.0]], requires_grad=True)
    masked_huber_loss(known, torch.tensor([[0.5], [1.0]]), 1.0).sum().backward()
    padded = torch.tensor([[1.0], [2.0], [7.0]], requires_grad=True)
    loss = masked_huber_loss(padded, torch.tensor([[0.5], [1.0], [torch.nan]]), 1.0)
    loss.sum().backward()
    assert loss.item() == pytest.approx((0.125 + 0.5) / 2)
    assert known.grad is not None
    assert padded.grad is not None
    assert padded.grad.flatten().tolist() == [*known.grad.flatten().tolist(), 0.0]


def test_a_batch_of_unknowns_costs_nothing() -> None:
    prediction = torch.ones(3, 2, requires_grad=True)
    loss = masked_huber_loss(prediction, torch.full((3, 2), torch.nan), 1.0)
    loss.sum().backward()
    assert loss.tolist() == [0.0, 0.0]
    assert prediction.grad is not None
    assert not prediction.grad.any()


def test_strength_is_imitated_on_orders_only() -> None:
    logit, strength = torch.zeros(3), torch.tensor([0.9, 0.0, 0.7])
    is_order = torch.tensor([True, False, True])
    assert strength_loss(logit, strength, is_order).item() == pytest.approx((0.16 + 0.04) / 2)
    assert strength_loss(logit, strength, torch.zeros(3, dtype=torch.bool)).item() == 0.0


def test_value_clipping_takes_the_worse_of_value_and_clipped_value() -> None:
    value, old = torch.tensor([2.0, 0.4]), torch.tensor([0.0, 0.0])
    target = torch.tensor([3.0, 1.0])
    assert value_loss(value, old, target, clip=None).item() == pytest.approx((1 + 0.36) / 2)
    # clipped to 0.5 and 0.4: errors 2.5 and 0.6 squared, the larger of each pair
    assert value_loss(value, old, target, clip=0.5).item() == pytest.approx((6.25 + 0.36) / 2)


def test_focal_loss_by_hand() -> None:
    logits = torch.tensor([[0.8, 0.2], [0.4, 0.6]]).log()
    actions = torch.tensor([0, 0])
    # (1 - p)^2 times -ln p of p = 0.8 and 0.4
    expected = (0.04 * 0.2231436 + 0.36 * 0.9162907) / 2
    assert focal_loss(logits, actions, 2.0).item() == pytest.approx(expected, rel=1e-5)
    plain = (0.2231436 + 0.9162907) / 2
    assert focal_loss(logits, actions, 0.0).item() == pytest.approx(plain, rel=1e-5)


def test_huber_over_two_processes_divides_by_the_mean_count() -> None:
    prediction, target = torch.zeros(2, 1), torch.tensor([[1.0], [torch.nan]])
    loss = masked_huber_loss(prediction, target, 1.0, lambda count: (count + 3) / 2)
    assert loss.item() == pytest.approx(0.5 / 2)
