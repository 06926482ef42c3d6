"""One poisoned value at each boundary: nothing changes, the counter is exact, K in a row abort."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from rl_core.base.errors import TollgateError
from rl_core.kinds.spot.env import SpotState
from rl_core.learning.guard import Part, StepGuard
from rl_core.learning.ppo.figures import Batch, UpdateLog
from rl_core.learning.ppo.setup import Training
from rl_core.learning.ppo.train import prepare_batch, update_critic, update_policy
from tests.learning.problems import CONFIG, moved, one_rollout, weights

ONE_BATCH = CONFIG.model_copy(update={"epochs": 3, "num_minibatches": 1})
Poison = Callable[[Training[SpotState], Batch], Batch]


def optimiser_state(training: Training[SpotState]) -> list[Tensor]:
    return [
        tensor.clone()
        for optimiser in training.learner.optimisers.values()
        for state in optimiser.state_dict()["state"].values()
        for tensor in state.values()
    ]


def in_advantage(training: Training[SpotState], batch: Batch) -> Batch:
    poisoned = batch.advantages.clone()
    poisoned[3, 5] = torch.inf
    return replace(batch, advantages=poisoned)


def in_return_target(training: Training[SpotState], batch: Batch) -> Batch:
    # NaN is unknown and masked: what must never get through is an infinite one
    training.problem.targets.values[batch.rollout.bar[3, 5].long()] = torch.inf
    return batch


def in_value_target(training: Training[SpotState], batch: Batch) -> Batch:
    poisoned = batch.returns.clone()
    poisoned[3, 5] = torch.nan
    return replace(batch, returns=poisoned)


def in_observation(training: Training[SpotState], batch: Batch) -> Batch:
    batch.rollout.account_features[3, 5, 0] = torch.nan
    return batch


def in_shared_observation(training: Training[SpotState], batch: Batch) -> Batch:
    training.table.rows[batch.rollout.bar[3, 5].long(), 0] = torch.nan
    return batch


def in_reward(training: Training[SpotState], batch: Batch) -> Batch:
    batch.rollout.reward[3, 5] = torch.nan
    return prepare_batch(batch.rollout, training.config)


def in_weight(training: Training[SpotState], batch: Batch) -> Batch:
    with torch.no_grad():
        next(training.learner.model.encoder.parameters())[0, 0] = torch.nan
    return batch


def in_gradient_of(part: str) -> Poison:
    def poison(training: Training[SpotState], batch: Batch) -> Batch:
        parameter = training.learner.parts[part].parameters[-1]

        def spoil(gradient: Tensor) -> Tensor:
            return torch.full_like(gradient, torch.nan)

        parameter.register_hook(spoil)
        return batch

    return poison


CASES: list[tuple[str, Poison, str]] = [
    ("advantage", in_advantage, "policy_loss"),
    ("return target", in_return_target, "return_loss"),
    ("value target", in_value_target, "value_loss"),
    ("observation", in_observation, "policy_loss"),
    ("market feature", in_shared_observation, "policy_loss"),
    ("reward", in_reward, "policy_loss"),
    ("weight", in_weight, "policy_loss"),
    ("encoder gradient", in_gradient_of("encoder"), "encoder"),
    ("policy gradient", in_gradient_of("policy_head"), "policy_head"),
    ("value gradient", in_gradient_of("value_head"), "value_head"),
    ("return gradient", in_gradient_of("return_heads"), "return_heads"),
]


@pytest.mark.parametrize(("poison", "culprit"), [c[1:] for c in CASES], ids=[c[0] for c in CASES])
def test_a_poisoned_value_changes_nothing_and_is_counted(poison: Poison, culprit: str) -> None:
    training, batch = one_rollout(ONE_BATCH)
    update_policy(training, batch, 1, UpdateLog.empty())  # so that the optimisers have a state
    guard = training.learner.guard
    assert guard.skipped == 0
    batch = poison(training, batch)
    before, state = weights(training.learner.model), optimiser_state(training)
    update_policy(training, batch, 1, UpdateLog.empty())
    changed = moved(training.learner.model, before)
    assert changed <= {"encoder.mlp.0.weight"}  # NaN, where it was put, equals nothing
    assert len(changed) == (culprit == "policy_loss" and poison is in_weight)
    assert all(map(torch.equal, state, optimiser_state(training)))
    assert guard.skipped == 3
    assert guard.skipped_by_cause()[culprit] == 3


def test_the_gradient_of_one_head_blames_that_head_alone() -> None:
    training, batch = one_rollout(ONE_BATCH)
    update_policy(training, in_gradient_of("value_head")(training, batch), 1, UpdateLog.empty())
    assert training.learner.guard.skipped_by_cause() == {"value_head": 3}


def test_the_critic_skips_too() -> None:
    training, batch = one_rollout(ONE_BATCH)
    before = weights(training.learner.model)
    poisoned = in_value_target(training, batch)
    update_critic(training, poisoned, UpdateLog.empty())
    assert not moved(training.learner.model, before)
    assert training.learner.guard.skipped_by_cause() == {"value_loss": 4, "value_head": 4}


def test_k_in_a_row_abort_and_the_message_names_the_culprit() -> None:
    training, batch = one_rollout(ONE_BATCH.model_copy(update={"max_skipped_updates": 3}))
    poisoned = in_gradient_of("policy_head")(training, batch)
    update_policy(training, poisoned, 1, UpdateLog.empty())
    with pytest.raises(
        TollgateError, match="must be finite, was not in policy_head for 3 updates in a row"
    ):
        training.learner.guard.check()


def steps(guard: StepGuard, losses: list[float]) -> None:
    parameter = torch.nn.Parameter(torch.zeros(2))
    optimiser = torch.optim.Adam([parameter], fused=True)
    for factor in losses:
        optimiser.zero_grad()
        loss = (parameter.sum() + 1) * factor
        guard.backward(loss)
        guard.step({"loss": loss}, {"all": Part([parameter], 1.0)}, [optimiser])


def test_good_steps_between_bad_ones_are_no_row() -> None:
    guard = StepGuard(("loss", "all"), 2, torch.device("cpu"))
    nan = float("nan")
    steps(guard, [1, nan, 1, nan, 1])
    guard.check()
    assert guard.skipped == 2
    steps(guard, [nan, nan])
    with pytest.raises(TollgateError, match="for 2 updates in a row"):
        guard.check()


def test_float16_scales_the_loss_and_backs_off_when_it_overflows() -> None:
    guard = StepGuard(("loss", "all"), 10, torch.device("cpu"), scales_loss=True)
    assert guard.state["loss_scale"].item() == 2.0**16
    steps(guard, [1.0, float("inf"), 1.0])
    assert guard.state["loss_scale"].item() == 2.0**15
    assert guard.skipped == 1
    steps(guard, [1.0] * 2000)
    assert guard.state["loss_scale"].item() == 2.0**16


def test_scaled_gradients_take_the_same_step() -> None:
    results: list[Tensor] = []
    for scales_loss in (False, True):
        parameter = torch.nn.Parameter(torch.tensor([1.0, -2.0]))
        optimiser = torch.optim.Adam([parameter], lr=0.1, fused=True)
        guard = StepGuard(("loss", "all"), 3, torch.device("cpu"), scales_loss=scales_loss)
        loss = parameter.square().sum()
        guard.backward(loss)
        norms = guard.step({"loss": loss}, {"all": Part([parameter], 0.5)}, [optimiser])
        assert norms["all"].item() == pytest.approx(20**0.5)
        results.append(parameter.detach().clone())
    assert torch.equal(*results)
