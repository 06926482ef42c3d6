"""A training that was cut and taken up again is the training that was not."""

from pathlib import Path

import pytest
import torch

from rl_core.base.errors import TollgateError
from rl_core.learning.ppo.learner import Learner, new_learner, require_same_shapes
from rl_core.learning.ppo.train import train_ppo
from rl_core.learning.settings import ModelConfig, PPOConfig
from rl_core.store.checkpoints import load_checkpoint, save_checkpoint
from tests.learning.problems import (
    CONFIG,
    RECURRENT,
    SMALL,
    Silent,
    moved,
    new_model,
    problem,
    weights,
)

LONG = CONFIG.model_copy(
    update={"iterations": 5, "lr_annealing": True, "summary_every": 2, "clone_kl_coefficient": 0.1}
)
CLOCK = {"steps_per_second", "rollout_seconds", "policy_seconds", "critic_seconds"}


def stopped_after(learner: Learner, config: PPOConfig, iteration: int) -> None:
    of = problem(clone=new_model(SMALL))
    train_ppo(learner, of, config, Silent(), after_iteration=lambda now: now.iteration == iteration)


@pytest.mark.parametrize("shape", [SMALL, RECURRENT])
@pytest.mark.parametrize("iteration", [0, 3])
def test_resumed_equals_uninterrupted_bit_for_bit(
    tmp_path: Path, shape: ModelConfig, iteration: int
) -> None:
    config = LONG if shape == SMALL else LONG.model_copy(update={"clone_kl_coefficient": 0.0})
    whole = new_learner(new_model(shape), config, {})
    stopped_after(whole, config, 99)

    first = new_learner(new_model(shape), config, {})
    stopped_after(first, config, iteration)
    path = save_checkpoint(
        tmp_path, "cut", first.env_steps, first.tensors() | first.own_tensors(), first.facts()
    )
    checkpoint, tensors = load_checkpoint(path)
    torch.manual_seed(99)  # nothing may hang on the global generator
    resumed = new_learner(new_model(shape), config, {})
    resumed.restore(tensors, checkpoint.facts)
    stopped_after(resumed, config, 99)

    assert not moved(resumed.model, weights(whole.model))
    expected = whole.tensors() | whole.own_tensors()
    found = resumed.tensors() | resumed.own_tensors()
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert [f.model_dump(exclude=CLOCK) for f in whole.history] == [
        f.model_dump(exclude=CLOCK) for f in resumed.history
    ]
    assert whole.summaries == resumed.summaries
    assert whole.validations == resumed.validations


def test_a_learner_stores_weights_both_optimisers_generator_and_counters() -> None:
    learner = new_learner(new_model(), CONFIG, {})
    stopped_after(learner, CONFIG, 1)
    owners = {name.split(".")[0] for name in learner.tensors()}
    assert owners == {"model", "best", "guard", "totals", "actor", "critic"}
    assert set(learner.own_tensors()) == {"generator"}


def test_another_architecture_is_an_error_that_names_both_shapes() -> None:
    wide = new_model(ModelConfig(hidden_dim=64, head_dim=16))
    with pytest.raises(
        TollgateError, match=r"of shape \(64, 34\) for \(32, 34\).*or add --allow-fresh"
    ):
        require_same_shapes(new_model(), wide.state_dict(), "that checkpoint")
