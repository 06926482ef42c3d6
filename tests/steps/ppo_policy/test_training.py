"""Training as people run it: other starts, other networks, interruptions, what is written where."""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rl_core.base.errors import Interrupted, TollgateError
from rl_core.base.shutdown import StopRequest
from rl_core.learning.ppo.history import TIMINGS, PPOIteration
from rl_core.learning.ppo.reporting import TrainingLog, warnings
from rl_core.learning.settings import PPOConfig, Verbosity
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.context import DeskContext
from rl_core.steps.ppo_policy.checkpoints import training_folder
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction import predict_latest
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.runner import build
from rl_core.store.checkpoints import checkpoints
from tests.chain import OPTIONS, bars_file, changed, deploy, heard, read_policy, run_chain
from tests.conftest import small_desk

Said = list[str]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> DeskContext:
    folder = tmp_path_factory.mktemp("training")
    return run_chain(small_desk(bars_file(folder)), folder)


def train(work: DeskContext, **options: Any) -> Said:
    with heard() as said:
        build(work, PPO, replace(OPTIONS, **options))
    return said


def weights(work: DeskContext) -> dict[str, torch.Tensor]:
    return read_policy(work).model.state_dict()


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def left_behind(work: DeskContext) -> list[Path]:
    """Checkpoints of all trainings of the desk."""
    return [path for run in training_folder(work).glob("*/") for path in checkpoints(run)]


@contextmanager
def stop_after(iteration: int) -> Generator[StopRequest]:
    """A request that comes, as a signal would, while an iteration is under way."""
    request, tell = StopRequest(), TrainingLog.iteration

    def told(self: TrainingLog, figures: PPOIteration) -> None:
        tell(self, figures)
        if figures.iteration == iteration:
            request.receive(15, None)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(TrainingLog, "iteration", told)
        yield request


def interrupt(work: DeskContext, iteration: int = 1) -> tuple[Said, Interrupted]:
    with (
        heard() as said,
        stop_after(iteration) as request,
        pytest.raises(Interrupted) as caught,
    ):
        build(work, PPO, replace(OPTIONS, stop=request))
    return said, caught.value


def test_an_interrupted_training_resumes_to_the_same_artefact(work: DeskContext) -> None:
    work = changed(work, ppo__iterations=4)
    train(work)
    whole = work.open_artifact(PPO)
    said, interruption = interrupt(work, iteration=2)
    assert interruption.signum == 15
    assert "--resume" in str(interruption)
    assert work.open_artifact(PPO).content == whole.content  # nothing was sealed
    (left,) = left_behind(work)
    assert left.name.startswith("model_interrupted_")
    assert any(f"saved {left}" in line for line in said)
    said = train(work, resume=True)
    assert f"resuming from {left.name}" in said[0]
    assert work.open_artifact(PPO).content == whole.content
    assert left_behind(work) == []  # a training that is done needs none


def test_resume_without_a_checkpoint_is_an_error_unless_fresh_is_allowed(work: DeskContext) -> None:
    with pytest.raises(TollgateError, match="--resume must find a checkpoint in"):
        train(work, resume=True)
    said = train(work, resume=True, allow_fresh=True)
    assert "starting anew" in said[0]


def test_a_checkpoint_of_other_settings_is_refused_by_name(work: DeskContext) -> None:
    work = changed(work, ppo__iterations=4)
    interrupt(work)
    other = changed(work, ppo__clip=0.3, ppo__iterations=4)
    with pytest.raises(
        TollgateError, match=r"was of another run.settings.ppo.clip \(0.2, now 0.3\)"
    ):
        train(other, resume=True)
    with pytest.raises(TollgateError, match="must have iterations left, was 1 of 1"):
        train(changed(work, ppo__iterations=1), resume=True)
    longer = changed(work, ppo__iterations=5)
    assert "resuming" in train(longer, resume=True)[0]


def test_a_given_checkpoint_is_taken_and_a_network_of_another_shape_names_both(
    work: DeskContext,
) -> None:
    work = changed(work, ppo__iterations=4)
    interrupt(work)
    (left,) = left_behind(work)
    wide = changed(work, model__hidden_dim=48, ppo__iterations=4)
    with pytest.raises(TollgateError, match=r"of shape \(32, 34\) for \(48, 34\)"):
        train(wide, checkpoint=left)
    build(wide, CLONE, OPTIONS)  # a clone of the new shape; the checkpoint is old
    with pytest.raises(
        TollgateError, match=rf"{left.name} must hold .* \(32, 34\) for \(48, 34\).*--allow-fresh"
    ):
        train(wide, checkpoint=left)
    said = train(wide, checkpoint=left, allow_fresh=True)
    assert "starting anew" in said[0]
    build(work, CLONE, OPTIONS)
    assert "resuming" in train(work, checkpoint=left)[0]


def test_another_network_than_the_clones_needs_allow_fresh(work: DeskContext) -> None:
    deep = changed(work, model__gru_layers=1)
    with pytest.raises(TollgateError, match=r"bc_policy .* must hold the network that is asked"):
        train(deep)
    said = train(deep, allow_fresh=True)
    assert "starting from a new network" in said[0]
    assert read_policy(deep).model.is_recurrent


def test_heads_only_repairs_a_policy_whose_return_heads_were_never_trained(
    work: DeskContext,
) -> None:
    untrained = changed(work, ppo__auxiliary_losses=False)
    train(untrained)
    before = read_policy(work)
    if before.spec.trained_horizons:  # the clone was kept, whose heads were trained
        pytest.skip("PPO did not beat the clone")
    train(changed(work, ppo__train_heads_only=True, ppo__iterations=3))
    after = read_policy(work)
    assert after.spec.trained_horizons == ("1h", "24h")
    moved = {
        name
        for name, tensor in after.model.state_dict().items()
        if not torch.equal(tensor, before.model.state_dict()[name])
    }
    assert moved - {"return_shrinkage"} == {"return_heads.weight", "return_heads.bias"}


def test_incremental_goes_on_from_the_champion_and_full_from_the_clone(work: DeskContext) -> None:
    incremental = changed(work, ppo__mode="incremental")
    with pytest.raises(TollgateError, match="must have a champion model, was none"):
        train(incremental)
    train(work)
    build(work, GATE)
    version = deploy(work)
    work.models.point("champion", version.manifest.version)
    champion = weights(work)
    frozen = changed(work, ppo__mode="incremental", ppo__iterations=1, ppo__evaluate_every=9)
    train(frozen)
    artifact = work.open_artifact(PPO)
    assert artifact.facts.started_from == version.manifest.version
    if artifact.facts.best_iteration == 0:
        assert same(weights(work), champion)
    train(work)
    assert work.open_artifact(PPO).facts.started_from.startswith("bc_policy ")


@pytest.mark.slow
def test_a_recurrent_desk_goes_through_the_whole_chain(tmp_path: Path) -> None:
    desk = small_desk(bars_file(tmp_path), model={"hidden_dim": 32, "head_dim": 16,
                                                  "gru_layers": 1, "risk_head": True})  # fmt: skip
    recurrent = run_chain(desk, tmp_path)
    deploy(recurrent)
    answer = predict_latest(recurrent, {}, None)
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0)
    assert sum(answer["risk"].values()) == pytest.approx(1.0)
    policy = read_policy(recurrent)
    assert policy.model.is_recurrent


def test_figures_go_to_json_tensorboard_and_a_plot(work: DeskContext) -> None:
    train(changed(work, ppo__iterations=3, ppo__summary_every=2))
    summaries = work.open_artifact(PPO).read_json("metrics.json")
    found = [path.parent for path in training_folder(work).glob("*/metrics.json")]
    (folder,) = [f for f in found if json.loads((f / "metrics.json").read_text()) == summaries]
    assert [each["iteration"] for each in summaries] == [2, 3]
    assert set(summaries[0]["trades"]) == {
        "steps", "trades", "pnl", "pnl_per_trade", "gross_profit", "gross_loss", "win_rate",
        "profit_factor", "average_return", "max_trailing_drawdown", "rule_violations",
        "violations_by_rule",
    }  # fmt: skip
    assert work.open_artifact(PPO).read("learning.png").startswith(b"\x89PNG")

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    newest = max((folder / "tensorboard").glob("events*"), key=lambda path: path.stat().st_mtime_ns)
    events = EventAccumulator(str(newest))
    events.Reload()
    history = work.open_artifact(PPO).read_json("history.json")
    entropies = [event.value for event in events.Scalars("entropy")]
    assert entropies == pytest.approx([h["entropy"] for h in history if h["entropy"] is not None])
    assert events.Scalars("gradient_norms/encoder")
    assert events.Scalars("steps_per_second")[0].value > 0


def test_verbosity_decides_how_much_is_said(work: DeskContext) -> None:
    two = changed(work, ppo__iterations=2)
    said = {each: train(two, verbosity=each) for each in Verbosity}
    assert any("advantages" in line for line in said[Verbosity.VERBOSE])
    assert any("GB" in line for line in said[Verbosity.VERBOSE])
    assert not any("advantages" in line for line in said[Verbosity.NORMAL])
    # where it starts, a warm-up, two iterations, which one was kept, and what its heads are worth
    assert len(said[Verbosity.QUIET]) == 6


def test_low_entropy_is_warned_of_with_what_to_change(work: DeskContext) -> None:
    train(work)
    history = work.open_artifact(PPO).read_json("history.json")
    healthy = PPOIteration.model_validate(history[-1] | dict.fromkeys(TIMINGS, 1.0))
    config = PPOConfig(entropy_coefficient=0.02, actor_learning_rate=1e-3)
    assert warnings(healthy, 0, config) == []
    greedy = healthy.model_copy(update={"entropy": 0.049})
    assert warnings(greedy, 0, config) == [
        "entropy 0.049 is below 0.05: the policy hardly explores; raise --ent-coef (now 0.02) or "
        "lower --initial-lr (now 0.001)"
    ]
    sick = healthy.model_copy(update={"skipped_updates": 3, "skipped_by_cause": {"encoder": 3}})
    assert warnings(sick, 0, config) == ["3 updates skipped so far for: encoder 3"]
    assert warnings(sick, 3, config) == []  # said once


def test_what_does_not_fit_is_lowered_and_said(
    work: DeskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    def little(*_: object) -> int:
        return 60_000_000

    monkeypatch.setattr("rl_core.steps.ppo_policy.session.memory_limit", little)
    big = changed(work, ppo__num_envs=8192, ppo__iterations=1)
    said = train(big)
    assert any("warning: num_envs is now" in line and "was 8,192" in line for line in said)
    envs = work.open_artifact(PPO).facts.sizes["num_envs"]
    assert envs < 8192


def test_several_seeds_make_an_ensemble_and_the_best_goes_on(work: DeskContext) -> None:
    with heard() as said:
        artifact = build(changed(work, bc__seeds=[1, 2, 3]), CLONE, OPTIONS)
    files = artifact.seal.files
    assert {f"seed_{seed}.safetensors" for seed in (1, 2, 3)} <= set(files)
    ensemble = artifact.facts.seed_ensemble
    assert ensemble is not None
    assert ensemble.seeds == [1, 2, 3]
    assert ensemble.accuracy >= min(ensemble.accuracy_by_seed.values())
    assert any("majority vote of 3 seeds" in line for line in said)
    best = files[f"seed_{artifact.facts.seed}.safetensors"]
    assert files["policy.safetensors"] == best
    build(work, CLONE, OPTIONS)


def test_trainings_of_other_settings_never_touch_each_others_checkpoints(work: DeskContext) -> None:
    first, second = (changed(work, ppo__iterations=4, ppo__clip=clip) for clip in (0.11, 0.12))
    interrupt(first, iteration=2)
    interrupt(second, iteration=1)
    assert len(left_behind(work)) == 2
    train(second)  # from the start to its end: it takes its own checkpoint with it
    (left,) = left_behind(work)
    said = train(first, resume=True)
    assert f"resuming from {left.name}" in said[0]


def test_heads_only_refuses_a_policy_of_other_inputs(work: DeskContext) -> None:
    train(work)
    build(changed(work, bc__seeds=[9]), CLONE, OPTIONS)
    with pytest.raises(TollgateError, match="must be made from the bc_policy that is there"):
        train(changed(work, ppo__train_heads_only=True))
    build(work, CLONE, OPTIONS)
    train(work)


def test_a_clone_with_a_risk_head_keeps_it(work: DeskContext) -> None:
    build(changed(work, model__risk_head=True), CLONE, OPTIONS)
    train(work)
    assert read_policy(work).model.risk_head is not None
    build(work, CLONE, OPTIONS)


def test_a_flag_beats_the_desks_own_stronger_way_to_say_how_long(work: DeskContext) -> None:
    desk = work.desk.with_settings({"ppo.timesteps": 10_000_000})
    short = desk.with_settings({"ppo.iterations": 3}, cleared=["ppo.timesteps", "ppo.episodes"])
    assert desk.ppo.num_iterations > 1000
    assert short.ppo.num_iterations == 3
