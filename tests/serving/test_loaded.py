"""A deployed model is verified and loaded once, and answers many times."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rl_core.base.errors import TollgateError
from rl_core.learning.policy_walk import decide, memory_before, memory_starts, step_through
from rl_core.serving.loaded import LoadedModel
from rl_core.steps.context import DeskContext
from rl_core.steps.prediction import predict_latest
from tests.chain import bars_file, deploy, read_market, run_chain
from tests.conftest import small_desk

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> DeskContext:
    """A recurrent policy, deployed; it remembers 32 bars."""
    folder = tmp_path_factory.mktemp("loaded")
    desk = small_desk(bars_file(folder), model={"hidden_dim": 16, "head_dim": 8, "gru_layers": 1})
    context = run_chain(desk.with_settings({"bc.epochs": 1, "ppo.iterations": 1}), folder)
    deploy(context)
    return context


@pytest.fixture(scope="module")
def model(work: DeskContext) -> LoadedModel:
    return LoadedModel.of_version(work.models.served("shadow"))


def test_it_is_served_with_its_slice_of_the_settings_alone(
    work: DeskContext, model: LoadedModel
) -> None:
    assert model.desk.bars == work.desk.bars
    assert model.desk.dataset.horizons == work.desk.dataset.horizons
    assert model.desk.ppo.iterations != work.desk.ppo.iterations  # at its default: never asked for
    serving = work.models.served("shadow").manifest.serving
    assert not {"ppo", "bc", "gate", "walk_forward", "retrain"} & set(serving)


def test_an_answer_is_that_of_predict_and_the_same_every_time(
    work: DeskContext, model: LoadedModel
) -> None:
    market = read_market(work)
    first = model.answer(market, {"position": 0.3})
    assert model.answer(market, {"position": 0.3}) == first
    asked = predict_latest(work, {"position": 0.3}, None)
    assert {name: asked[name] for name in first} == first


def test_an_answer_that_is_not_finite_is_refused(work: DeskContext, model: LoadedModel) -> None:
    """Whatever the weights are: the last guard stands where numbers leave."""
    broken = LoadedModel.of_version(work.models.served("shadow"))
    with torch.no_grad():
        broken.policy.model.policy_head[-1].bias[0] = float("nan")  # type: ignore[index]
    with pytest.raises(TollgateError, match="a model must answer finite numbers, was nan in prob"):
        broken.answer(read_market(work), {})
    assert model.answer(read_market(work), {})["action"] in ("HOLD", "BUY", "SELL")


# ---- one rule for what a recurrent policy remembers


def test_memory_begins_anew_at_fixed_moments_whatever_bars_there_are() -> None:
    hour = 3_600_000_000_000
    ns = np.arange(1000, 1100) * hour
    starts = memory_starts(ns, hour, 32)
    assert np.flatnonzero(starts).tolist() == [0, 24, 56, 88]  # hours 1024, 1056, 1088
    assert np.flatnonzero(memory_starts(ns[10:], hour, 32)).tolist() == [0, 14, 46, 78]
    holed = np.delete(ns, 24)  # the moment itself is missing: the bar after it begins anew
    assert np.flatnonzero(memory_starts(holed, hour, 32)).tolist() == [0, 24, 55, 87]
    assert not memory_starts(ns, hour, None).any()


def test_a_policy_is_served_with_the_memory_that_it_was_judged_with(
    work: DeskContext, model: LoadedModel
) -> None:
    """Judged from a moment at which memory begins, bar by bar; asked at each of those bars."""
    market, policy = read_market(work), model.policy
    assert policy.spec.memory_bars == model.memory_bars == 32
    trading = model.kind.trading(market, CPU, model.memory_bars)
    first, last = np.flatnonzero(trading.starts)[-3:-1]
    for bar in (first + 1, first + 5, first + 31, last + 7):
        begun = first if bar < last else last
        judged, _ = step_through(policy.model, trading, (int(begun), int(bar) - 1))
        served = memory_before(policy.model, trading, int(bar), market.first_bar)
        assert judged.memory is not None
        assert served is not None
        torch.testing.assert_close(judged.memory, served, atol=1e-6, rtol=1e-5)
        assert bool((served != 0).any())
    for bar in (first, last):
        assert memory_before(policy.model, trading, int(bar), market.first_bar) is None


def test_what_is_remembered_reaches_as_far_as_memory_and_no_further(
    work: DeskContext, model: LoadedModel
) -> None:
    market, policy = read_market(work), model.policy
    starts = memory_starts(market.ns, model.kind.mean_bar_ns, model.memory_bars)
    begun = int(np.flatnonzero(starts)[-2])
    bar = begun + 20

    def remembered(changed: int | None) -> torch.Tensor:
        features = market.features.copy()
        if changed is not None:
            features[changed] += 1.0
        seen = replace(market, features=features)
        trading = model.kind.trading(seen, CPU, model.memory_bars)
        memory = memory_before(policy.model, trading, bar, market.first_bar)
        assert memory is not None
        return memory

    as_it_was = remembered(None)
    assert torch.equal(remembered(begun - 1), as_it_was)
    assert torch.equal(remembered(bar), as_it_was)  # not yet seen
    for seen in (begun, begun + 10, bar - 1):
        assert not torch.equal(remembered(seen), as_it_was), seen


def test_a_walk_over_several_beginnings_is_the_walks_between_them(
    work: DeskContext, model: LoadedModel
) -> None:
    """What a policy predicts after its memory began anew depends on nothing before."""
    market, policy = read_market(work), model.policy
    starts = memory_starts(market.ns, model.kind.mean_bar_ns, model.memory_bars)
    trading = model.kind.trading(market, CPU, model.memory_bars)
    first, second = (int(bar) for bar in np.flatnonzero(starts)[-3:-1])
    whole = decide(policy.model, trading, (first, second + 10))
    walk = model.kind.walk(market, first, whole.action, whole.strength)
    seen = np.column_stack([market.features[first : second + 11], walk.account_features])
    states = torch.from_numpy(seen[second - first :])
    memory, predicted = None, []
    for state in states:
        heads = policy.model(state[None], memory)
        memory = heads.memory
        predicted.append(policy.model.forecasts(heads.returns)[0].tolist())
    np.testing.assert_allclose(whole.predicted_returns[second - first :], predicted, rtol=1e-4)


def test_a_version_says_which_of_its_files_was_changed(work: DeskContext, tmp_path: Path) -> None:
    version = work.models.served("shadow")
    spec = version.directory / "policy.json"
    intact = spec.read_bytes()
    spec.write_bytes(intact.replace(b"1h", b"2h"))
    try:
        with pytest.raises(TollgateError, match=r"was changed since \(policy\.json\)"):
            LoadedModel.of_version(version)
    finally:
        spec.write_bytes(intact)
