"""Nothing in a rollout or an update waits for the device.

Every operator that must bring a value to the host, or whose result has a shape that hangs on one,
is forbidden while a rollout and all three updates run.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from rl_core.learning.hardware.distributed import ONE_PROCESS
from rl_core.learning.ppo.figures import UpdateLog
from rl_core.learning.ppo.learner import new_learner
from rl_core.learning.ppo.rollout import collect_rollout
from rl_core.learning.ppo.setup import TrainingProblem, prepare_training
from rl_core.learning.ppo.train import (
    prepare_batch,
    update_critic,
    update_policy,
    update_return_heads,
)
from rl_core.learning.settings import ModelConfig
from tests.learning.problems import (
    CONFIG,
    RECURRENT,
    SMALL,
    Silent,
    future_problem,
    new_model,
    portfolio_problem,
    problem,
)

HOST_SYNCS = {"aten::_local_scalar_dense", "aten::nonzero", "aten::masked_select", "aten::equal"}


class NoHostSync(TorchDispatchMode):
    """Raises where a GPU would make the host wait."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        name = func.name().split(".")[0]
        is_masked = name == "aten::index" and any(
            each is not None and each.dtype == torch.bool for each in args[1]
        )
        if name in HOST_SYNCS or is_masked:
            raise AssertionError(f"host sync: {name}")
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize(
    ("of", "sizes"),
    [(problem, (34, 3)), (future_problem, (45, 3)), (portfolio_problem, (64, 12))],
    ids=["spot", "futures", "portfolio"],
)
@pytest.mark.parametrize("shape", [SMALL, RECURRENT])
def test_a_rollout_and_its_updates_never_ask_for_a_value(
    shape: ModelConfig, of: Callable[[], TrainingProblem[Any]], sizes: tuple[int, int]
) -> None:
    model, rules = new_model(shape, *sizes, has_strength=sizes[1] == 3), len(of().environment.rules)
    learner = new_learner(model, CONFIG, {}, num_rules=rules)
    training = prepare_training(learner, of(), CONFIG, Silent(), ONE_PROCESS)
    log = UpdateLog.empty()
    with NoHostSync():
        position = None
        for _ in range(2):  # the second goes on where the first ended, if episodes do
            position = collect_rollout(
                learner.model, training.table, training.problem.environment, training.buffers,
                position, learner.generator, training.precision,
            )  # fmt: skip
        batch = prepare_batch(training.buffers, CONFIG)
        update_policy(training, batch, 1, log)
        update_critic(training, batch, log)
        update_return_heads(training, batch, log)
        learner.totals = learner.totals.add(batch.rollout.tally, batch.rollout.terminated)
    assert len(log.losses) == CONFIG.epochs * CONFIG.num_minibatches


def test_asking_for_one_is_noticed() -> None:
    value, flags = torch.zeros(()), torch.zeros(3, dtype=torch.bool)
    for ask in (value.item, lambda: bool(value > 0), lambda: flags[flags], flags.nonzero):
        with NoHostSync(), pytest.raises(AssertionError, match="host sync"):
            ask()
