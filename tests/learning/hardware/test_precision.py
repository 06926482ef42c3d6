"""Low precision stays inside the network; a compiled training learns the same."""

import pytest
import torch

from rl_core.base.errors import TollgateError
from rl_core.kinds.futures.env import FuturesState
from rl_core.learning.envs.core import Environment, Step
from rl_core.learning.hardware.compilation import compiled
from rl_core.learning.hardware.precision import Precision, pick_precision
from rl_core.learning.ppo.rollout import SharedFeatures
from rl_core.learning.ppo.train import take_minibatch
from rl_core.learning.ppo.update import policy_losses
from tests.learning.problems import (
    CONFIG,
    RECURRENT,
    SMALL,
    future_problem,
    new_model,
    one_rollout,
    train,
)

CPU = torch.device("cpu")


def test_amp_is_bfloat16_here_and_float32_without_it() -> None:
    assert pick_precision(CPU, amp=True).dtype == torch.bfloat16
    assert pick_precision(CPU, amp=False).dtype == torch.float32
    assert not pick_precision(CPU, amp=True).needs_scaling
    assert Precision("cuda", torch.float16).needs_scaling


@pytest.mark.parametrize("shape", [SMALL, RECURRENT])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_losses_advantages_log_probabilities_and_heads_are_float32(
    shape: object, dtype: torch.dtype
) -> None:
    config = CONFIG.model_copy(update={"amp": True})
    training, batch = one_rollout(config, new_model(shape))  # type: ignore[arg-type]
    assert batch.advantages.dtype == batch.rollout.log_prob.dtype == torch.float32
    rows = take_minibatch(training, batch, torch.arange(2))
    low = Precision("cpu", dtype)
    model = training.learner.model
    table = SharedFeatures.prepare(model, training.problem.environment.features, low)
    with low.autocast():
        inputs = table.gather(rows.bar.long(), rows.account_features)
        features, _ = model.encoder(inputs, rows.memory, rows.starts)
        heads = model.heads(features)
    assert features.dtype in {dtype, torch.float32}
    assert heads.logits.dtype == heads.value.dtype == heads.returns.dtype == torch.float32
    losses = policy_losses(
        model, table, training.problem.targets.values, rows, training.return_weights,
        None, config, low, lambda count: count,
    )  # fmt: skip
    assert all(each.dtype == torch.float32 for each in losses)


@pytest.mark.parametrize("shape", [SMALL, RECURRENT])
def test_amp_learns_nearly_what_float32_learns(shape: object) -> None:
    config = CONFIG.model_copy(update={"iterations": 3})
    plain, _ = train(config, new_model(shape))  # type: ignore[arg-type]
    low, watcher = train(config.model_copy(update={"amp": True}), new_model(shape))  # type: ignore[arg-type]
    assert watcher.figures[-1].skipped_updates == 0
    a, b = (torch.cat([p.flatten() for p in of.model.parameters()]) for of in (plain, low))
    assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.99


@pytest.mark.slow
def test_a_compiled_training_learns_nearly_what_the_plain_one_learns() -> None:
    config = CONFIG.model_copy(update={"iterations": 2})
    plain, _ = train(config)
    fused, watcher = train(config.model_copy(update={"compile": True}))
    a, b = (torch.cat([p.flatten() for p in of.model.parameters()]) for of in (plain, fused))
    assert torch.nn.functional.cosine_similarity(a, b, dim=0) > 0.999
    assert watcher.figures[-1].approx_kl == pytest.approx(plain.history[-1].approx_kl, rel=0.2)


def test_a_moving_curriculum_does_not_compile_again() -> None:
    environment = future_problem().environment
    generator = torch.Generator().manual_seed(0)
    state, _ = environment.reset(None, 32, 16, generator)
    category, strength = torch.ones(32, dtype=torch.int64), torch.ones(32)
    graphs: list[object] = []

    def count(graph: torch.fx.GraphModule, _: object) -> object:
        graphs.append(graph)
        return graph.forward

    torch.compiler.reset()

    def advance(env: Environment[FuturesState], now: FuturesState) -> Step[FuturesState]:
        return env.step(now, category, strength)

    step = torch.compile(advance, backend=count)
    for progress in (0.0, 0.1, 0.2, 0.3, 1.0):
        result = step(environment.at_progress(progress), state)
        plain = environment.at_progress(progress).step(state, category, strength)
        torch.testing.assert_close(result.reward, plain.reward)
    assert len(graphs) == 1


def test_compiling_without_a_compiler_is_one_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(TollgateError, match=r"must find a C\+\+ compiler, was none"):
        compiled(lambda: None, CPU, enabled=True)
