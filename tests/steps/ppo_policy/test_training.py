"""Training as people run it: other starts, other networks, interruptions, what is written where."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from tests.chain.test_chain import CPU, bars_file, run_chain

from rl_core.base.errors import Interrupted, TollgateError
from rl_core.base.shutdown import StopRequest
from rl_core.learning.models.policy_file import load_policy
from rl_core.learning.ppo.history import PPOIteration
from rl_core.learning.ppo.reporting import TIMINGS, Verbosity, warnings
from rl_core.learning.settings import PPOConfig
from rl_core.serving.loaded import predict_latest
from rl_core.steps.bc_policy import build_bc_policy
from rl_core.steps.context import Workplace
from rl_core.steps.deployed_model.step import deploy
from rl_core.steps.ppo_policy.checkpoints import TrainingOptions, training_folder
from rl_core.steps.ppo_policy.step import build_ppo_policy
from rl_core.steps.prediction_validation.step import build_prediction_validation
from rl_core.store.checkpoints import checkpoints
from tests.conftest import small_desk

Said = list[str]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    folder = tmp_path_factory.mktemp("training")
    return run_chain(small_desk(bars_file(folder)), folder)


def changed(work: Workplace, **settings: object) -> Workplace:
    """The same lake and store with other settings, named as in `ppo__iterations`."""
    named = {name.replace("__", "."): value for name, value in settings.items()}
    return Workplace.open(work.desk.with_settings(named), work.lake.directory.parents[1])


def train(work: Workplace, **options: object) -> Said:
    said: Said = []
    build_ppo_policy(work, TrainingOptions(CPU, **options), said.append)  # type: ignore[arg-type]
    return said


def weights(work: Workplace) -> dict[str, torch.Tensor]:
    return load_policy(work.lake.directory / "ppo_policy").model.state_dict()


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(first[name], second[name]) for name in first)


def left_behind(work: Workplace) -> list[Path]:
    """Checkpoints of all trainings of the desk."""
    return [path for run in training_folder(work).glob("*/") for path in checkpoints(run)]


def stop_after(said: Said, iteration: int) -> tuple[StopRequest, Callable[[str], None]]:
    """A request that comes, as a signal would, while an iteration is under way."""
    request = StopRequest()

    def say(line: str) -> None:
        said.append(line)
        if f"iteration {iteration}/" in line:
            request.receive(15, None)

    return request, say


def interrupt(work: Workplace, iteration: int = 1) -> tuple[Said, Interrupted]:
    said: Said = []
    request, say = stop_after(said, iteration)
    with pytest.raises(Interrupted) as caught:
        build_ppo_policy(work, TrainingOptions(CPU, stop=request), say)
    return said, caught.value


def test_an_interrupted_training_resumes_to_the_same_artefact(work: Workplace) -> None:
    work = changed(work, ppo__iterations=4)
    train(work)
    whole = work.lake.load("ppo_policy")
    said, interruption = interrupt(work, iteration=2)
    assert interruption.signum == 15
    assert "--resume" in str(interruption)
    assert work.lake.load("ppo_policy").content == whole.content  # nothing was sealed
    (left,) = left_behind(work)
    assert left.name.startswith("model_interrupted_")
    assert any(f"saved {left}" in line for line in said)
    said = train(work, resume=True)
    assert f"resuming from {left.name}" in said[0]
    assert work.lake.load("ppo_policy").content == whole.content
    assert left_behind(work) == []  # a training that is done needs none


def test_resume_without_a_checkpoint_is_an_error_unless_fresh_is_allowed(work: Workplace) -> None:
    with pytest.raises(TollgateError, match="--resume must find a checkpoint in"):
        train(work, resume=True)
    said = train(work, resume=True, allow_fresh=True)
    assert "starting anew" in said[0]


def test_a_checkpoint_of_other_settings_is_refused_by_name(work: Workplace) -> None:
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
    work: Workplace,
) -> None:
    work = changed(work, ppo__iterations=4)
    interrupt(work)
    (left,) = left_behind(work)
    wide = changed(work, model__hidden_dim=48, ppo__iterations=4)
    with pytest.raises(TollgateError, match=r"of shape \(32, 34\) for \(48, 34\)"):
        train(wide, checkpoint=left)
    build_bc_policy(wide, CPU, lambda _: None)  # a clone of the new shape; the checkpoint is old
    with pytest.raises(
        TollgateError, match=rf"{left.name} must hold .* \(32, 34\) for \(48, 34\).*--allow-fresh"
    ):
        train(wide, checkpoint=left)
    said = train(wide, checkpoint=left, allow_fresh=True)
    assert "starting anew" in said[0]
    build_bc_policy(work, CPU, lambda _: None)
    assert "resuming" in train(work, checkpoint=left)[0]


def test_another_network_than_the_clones_needs_allow_fresh(work: Workplace) -> None:
    deep = changed(work, model__gru_layers=1)
    with pytest.raises(TollgateError, match=r"bc_policy .* must hold the network that is asked"):
        train(deep)
    said = train(deep, allow_fresh=True)
    assert "starting from a new network" in said[0]
    assert load_policy(deep.lake.directory / "ppo_policy").model.is_recurrent


def test_heads_only_repairs_a_policy_whose_return_heads_were_never_trained(
    work: Workplace,
) -> None:
    untrained = changed(work, ppo__auxiliary_losses=False)
    train(untrained)
    before = load_policy(work.lake.directory / "ppo_policy")
    if before.spec.trained_horizons:  # the clone was kept, whose heads were trained
        pytest.skip("PPO did not beat the clone")
    train(changed(work, ppo__train_heads_only=True, ppo__iterations=3))
    after = load_policy(work.lake.directory / "ppo_policy")
    assert after.spec.trained_horizons == ("1h", "24h")
    moved = {
        name
        for name, tensor in after.model.state_dict().items()
        if not torch.equal(tensor, before.model.state_dict()[name])
    }
    assert moved == {"return_heads.weight", "return_heads.bias"}


def test_incremental_goes_on_from_the_champion_and_full_from_the_clone(work: Workplace) -> None:
    incremental = changed(work, ppo__mode="incremental")
    with pytest.raises(TollgateError, match="must have a champion model, was none"):
        train(incremental)
    train(work)
    build_prediction_validation(work)
    version = deploy(work)
    work.store.point("champion", version.manifest.version)
    champion = load_policy(version.directory).model.state_dict()
    frozen = changed(work, ppo__mode="incremental", ppo__iterations=1, ppo__evaluate_every=9)
    train(frozen)
    artifact = work.lake.load("ppo_policy")
    assert artifact.metadata["started_from"] == version.manifest.version
    if artifact.metadata["best_iteration"] == 0:
        assert same(weights(work), champion)
    train(work)
    assert work.lake.load("ppo_policy").metadata["started_from"].startswith("bc_policy ")


def test_a_recurrent_desk_goes_through_the_whole_chain(tmp_path: Path) -> None:
    desk = small_desk(bars_file(tmp_path), model={"hidden_dim": 32, "head_dim": 16,
                                                  "gru_layers": 1, "risk_head": True})  # fmt: skip
    recurrent = run_chain(desk, tmp_path)
    deploy(recurrent)
    answer = predict_latest(recurrent, {}, None)
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0)
    assert sum(answer["risk"].values()) == pytest.approx(1.0)
    policy = load_policy(recurrent.lake.directory / "ppo_policy")
    assert policy.model.is_recurrent


def test_figures_go_to_json_tensorboard_and_a_plot(work: Workplace) -> None:
    train(changed(work, ppo__iterations=3, ppo__summary_every=2))
    summaries = json.loads(work.lake.path("ppo_policy", "metrics.json").read_text())
    found = [path.parent for path in training_folder(work).glob("*/metrics.json")]
    (folder,) = [f for f in found if json.loads((f / "metrics.json").read_text()) == summaries]
    assert [each["iteration"] for each in summaries] == [2, 3]
    assert set(summaries[0]["trades"]) == {
        "steps", "trades", "pnl", "pnl_per_trade", "gross_profit", "gross_loss", "win_rate",
        "profit_factor", "average_return", "max_trailing_drawdown", "rule_violations",
        "violations_by_rule",
    }  # fmt: skip
    assert work.lake.path("ppo_policy", "learning.png").read_bytes().startswith(b"\x89PNG")

    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    newest = max((folder / "tensorboard").glob("events*"), key=lambda path: path.stat().st_mtime_ns)
    events = EventAccumulator(str(newest))
    events.Reload()
    history = json.loads(work.lake.path("ppo_policy", "history.json").read_text())
    entropies = [event.value for event in events.Scalars("entropy")]
    assert entropies == pytest.approx([h["entropy"] for h in history if h["entropy"] is not None])
    assert events.Scalars("gradient_norms/encoder")
    assert events.Scalars("steps_per_second")[0].value > 0


def test_verbosity_decides_how_much_is_said(work: Workplace) -> None:
    two = changed(work, ppo__iterations=2)
    said = {each: train(two, verbosity=each) for each in Verbosity}
    assert any("advantages" in line for line in said[Verbosity.VERBOSE])
    assert any("GB" in line for line in said[Verbosity.VERBOSE])
    assert not any("advantages" in line for line in said[Verbosity.NORMAL])
    # where it starts, a warm-up, two iterations, and which one was kept
    assert len(said[Verbosity.QUIET]) == 5


def test_low_entropy_is_warned_of_with_what_to_change(work: Workplace) -> None:
    train(work)
    history = json.loads(work.lake.path("ppo_policy", "history.json").read_text())
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
    work: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    def little(*_: object) -> int:
        return 60_000_000

    monkeypatch.setattr("rl_core.steps.ppo_policy.session.memory_limit", little)
    big = changed(work, ppo__num_envs=8192, ppo__iterations=1)
    said = train(big)
    assert any("warning: num_envs is now" in line and "was 8,192" in line for line in said)
    envs = work.lake.load("ppo_policy").config["ppo"]["num_envs"]
    assert envs < 8192


def test_several_seeds_make_an_ensemble_and_the_best_goes_on(work: Workplace) -> None:
    said: Said = []
    seeds = changed(work, bc__seeds=[1, 2, 3])
    artifact = build_bc_policy(seeds, CPU, said.append)
    assert {f"seed_{seed}.safetensors" for seed in (1, 2, 3)} <= set(artifact.files)
    ensemble = artifact.metadata["ensemble"]
    assert ensemble["seeds"] == [1, 2, 3]
    assert ensemble["accuracy"] >= min(ensemble["accuracy_by_seed"].values())
    assert any("majority vote of 3 seeds" in line for line in said)
    best = artifact.files[f"seed_{artifact.metadata['seed']}.safetensors"]
    assert artifact.files["policy.safetensors"] == best
    build_bc_policy(work, CPU, lambda _: None)


def test_trainings_of_other_settings_never_touch_each_others_checkpoints(work: Workplace) -> None:
    first, second = (changed(work, ppo__iterations=4, ppo__clip=clip) for clip in (0.11, 0.12))
    interrupt(first, iteration=2)
    interrupt(second, iteration=1)
    assert len(left_behind(work)) == 2
    train(second)  # from the start to its end: it takes its own checkpoint with it
    (left,) = left_behind(work)
    said = train(first, resume=True)
    assert f"resuming from {left.name}" in said[0]


def test_heads_only_refuses_a_policy_of_other_inputs(work: Workplace) -> None:
    train(work)
    build_bc_policy(changed(work, bc__seeds=[9]), CPU, lambda _: None)
    with pytest.raises(TollgateError, match="must be made from the bc_policy that is there"):
        train(changed(work, ppo__train_heads_only=True))
    build_bc_policy(work, CPU, lambda _: None)
    train(work)


def test_a_clone_with_a_risk_head_keeps_it(work: Workplace) -> None:
    build_bc_policy(changed(work, model__risk_head=True), CPU, lambda _: None)
    train(work)
    assert load_policy(work.lake.directory / "ppo_policy").model.risk_head is not None
    build_bc_policy(work, CPU, lambda _: None)


def test_a_flag_beats_the_desks_own_stronger_way_to_say_how_long(work: Workplace) -> None:
    desk = work.desk.with_settings({"ppo.timesteps": 10_000_000})
    short = desk.with_settings({"ppo.iterations": 3}, cleared=["ppo.timesteps", "ppo.episodes"])
    assert desk.ppo.num_iterations > 1000
    assert short.ppo.num_iterations == 3
