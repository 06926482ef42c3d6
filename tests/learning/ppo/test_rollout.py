"""A rollout stores where observations lie, and nothing of it may look ahead or leak."""

import pytest
import torch

from rl_core.base.errors import TollgateError
from rl_core.kinds.spot.env import SpotState
from rl_core.learning.envs.core import allowed_starts
from rl_core.learning.models.hybrid_action import HybridAction, action_log_prob
from rl_core.learning.ppo.figures import Batch
from rl_core.learning.ppo.minibatches import Tiling
from rl_core.learning.ppo.setup import Training
from rl_core.learning.ppo.train import take_minibatch
from rl_core.learning.settings import PPOConfig
from tests.learning.problems import (
    CONFIG,
    RECURRENT,
    SMALL,
    environment,
    new_model,
    one_rollout,
    problem,
)


def everything(training: Training[SpotState]) -> torch.Tensor:
    tiling = training.tiling
    return torch.arange(tiling.chunks * tiling.blocks)


def as_learned(training: Training[SpotState], batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities and values as the update computes them, in the tiles' order."""
    model, rows = training.learner.model, take_minibatch(training, batch, everything(training))
    features, _ = model.encoder(
        training.table.gather(rows.bar.long(), rows.account_features), rows.memory, rows.starts
    )
    heads = model.heads(features)
    action = HybridAction(rows.category.long(), rows.strength_logit)
    return action_log_prob(model, heads, action).log_prob, heads.value


@pytest.mark.parametrize("shape", [SMALL, RECURRENT])
def test_observations_are_gathered_again_exactly_as_they_were_seen(shape: object) -> None:
    training, batch = one_rollout(CONFIG, new_model(shape))  # type: ignore[arg-type]
    log_prob, value = as_learned(training, batch)
    take = training.tiling.take
    seen = take(batch.rollout.log_prob, everything(training))
    torch.testing.assert_close(log_prob, seen, rtol=1e-5, atol=1e-5)
    seen = take(batch.rollout.value, everything(training))
    torch.testing.assert_close(value, seen, rtol=1e-5, atol=1e-5)


def test_recurrent_chunks_with_resets_equal_stepping_one_by_one() -> None:
    # accounts that break a rule start anew in the middle of chunks
    training, batch = one_rollout(CONFIG, new_model(RECURRENT), problem(max_drawdown=0.015))
    rollout, model = batch.rollout, training.learner.model
    assert rollout.starts[1:8].any() or rollout.starts[9:].any()  # inside a chunk of 8
    log_prob, value = as_learned(training, batch)
    torch.testing.assert_close(
        log_prob, training.tiling.take(rollout.log_prob, everything(training)), rtol=1e-5, atol=1e-5
    )
    memory, stepped = torch.zeros(2, 32, 32), list[torch.Tensor]()
    with torch.no_grad():
        for t in range(16):
            memory = torch.where(rollout.starts[t].view(1, -1, 1), 0.0, memory)
            inputs = training.table.gather(rollout.bar[t].long(), rollout.account_features[t])
            features = model.encoder.mlp(inputs)
            output, memory = model.encoder.gru(features.unsqueeze(0), memory)  # type: ignore[misc]
            stepped.append(model.value(output.squeeze(0)))
    again = training.tiling.take(torch.stack(stepped), everything(training))
    torch.testing.assert_close(value, again, rtol=1e-5, atol=1e-5)


def test_gradients_of_chunks_equal_those_of_the_whole_sequence_cut_at_chunk_starts() -> None:
    config = CONFIG.model_copy(update={"chunk_steps": 16, "num_minibatches": 1})
    training, batch = one_rollout(config, new_model(RECURRENT), problem(max_drawdown=0.015))
    model, rollout = training.learner.model, batch.rollout
    as_learned(training, batch)[1].sum().backward()
    learned = model.encoder.gru.weight_hh_l0.grad.clone()  # type: ignore[union-attr]
    model.zero_grad()
    memory = torch.zeros(2, 32, 32)
    total = torch.zeros(())
    for t in range(16):
        memory = memory * (~rollout.starts[t]).float().view(1, -1, 1)
        inputs = training.table.gather(rollout.bar[t].long(), rollout.account_features[t])
        output, memory = model.encoder.gru(model.encoder.mlp(inputs).unsqueeze(0), memory)  # type: ignore[misc]
        total = total + model.value(output).sum()
    total.backward()
    stepped = model.encoder.gru.weight_hh_l0.grad  # type: ignore[union-attr]
    torch.testing.assert_close(learned, stepped, rtol=1e-4, atol=1e-5)


def test_windows_stay_inside_the_training_bars() -> None:
    _, batch = one_rollout(CONFIG.model_copy(update={"num_envs": 200}), None, problem(bars=60))
    assert batch.rollout.bar.min() >= 0
    assert batch.rollout.bar.max() + 1 <= 58  # the bar that the last step trades in is training


def test_an_account_that_breaks_a_rule_starts_again_elsewhere() -> None:
    training, batch = one_rollout(CONFIG, None, problem(max_drawdown=0.015))
    rollout, scale = batch.rollout, training.learner.model.standardiser
    assert rollout.terminated.any()
    t, n = rollout.terminated[:-1].nonzero()[0].tolist()
    assert rollout.starts[t + 1, n]
    seen = rollout.account_features[t + 1, n] * scale.scale[30:] + scale.mean[30:]
    assert seen.tolist() == [0.0, 0.0, 1.0, 1.0]  # cash only, never traded
    assert torch.equal(rollout.ended[:-1], rollout.starts[1:])


def test_the_value_after_a_step_is_that_of_the_next_row_or_of_what_was_cut_off() -> None:
    _, batch = one_rollout()
    rollout = batch.rollout
    assert torch.equal(rollout.next_value[:-1], rollout.value[1:])
    assert not torch.equal(rollout.next_value[-1], torch.zeros(32))


def test_a_rollout_stores_indices_and_not_observations() -> None:
    _, batch = one_rollout()
    stored = sum(
        column.element_size() * column[0].numel() // 32
        for column in vars(batch.rollout).values()
        if isinstance(column, torch.Tensor) and column.shape[0] == 16
    )
    assert stored == 28 + 4 * 4  # bytes a step; an observation alone would be 136


def test_a_span_shorter_than_a_window_is_an_error() -> None:
    with pytest.raises(
        TollgateError, match="must be shorter than the training span, was 16 for 10"
    ):
        allowed_starts(torch.arange(10), 16)


def test_more_environments_are_as_many_single_ones() -> None:
    env = environment()
    generator = torch.Generator().manual_seed(0)
    state, _ = env.reset(None, 5, 16, generator)
    category, strength = torch.tensor([0, 1, 2, 1, 1]), torch.tensor([0.0, 0.3, 1.0, 0.5, 0.9])
    together = env.step(state, category, strength)
    for n in range(5):
        alone = SpotState(*(column[n : n + 1] for column in state))
        result = env.step(alone, category[n : n + 1], strength[n : n + 1])
        assert result.reward.item() == together.reward[n].item()


@pytest.mark.parametrize(
    ("chunk_steps", "minibatches", "blocks"), [(1, 4, 1), (8, 2, 1), (8, 4, 2), (16, 8, 8)]
)
def test_tiles_cover_every_step_once(chunk_steps: int, minibatches: int, blocks: int) -> None:
    tiling = Tiling.of(16, 32, chunk_steps, minibatches)
    assert tiling.blocks == blocks
    rows = torch.arange(16 * 32).view(16, 32)
    generator = torch.Generator().manual_seed(0)
    taken = [tiling.take(rows, tiles) for tiles in tiling.shuffled(generator)]
    assert len(taken) == minibatches
    assert all(part.shape == (chunk_steps, 16 * 32 // minibatches // chunk_steps) for part in taken)
    assert torch.cat([part.flatten() for part in taken]).sort().values.equal(rows.flatten())
    for part in taken:  # consecutive steps of one account stand below each other
        assert (part.diff(dim=0) == 32).all()


def test_a_rollout_that_does_not_split_evenly_is_an_error() -> None:
    with pytest.raises(TollgateError, match="16 steps in chunks of 3 and 32 accounts"):
        Tiling.of(16, 32, 3, 4)
    with pytest.raises(TollgateError, match="30 accounts in 4 blocks for 8 minibatches"):
        Tiling.of(16, 30, 8, 8)
    assert PPOConfig().num_minibatches == 8
