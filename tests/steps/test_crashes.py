"""Kill a build, a deployment, a promotion and a training at every write: nothing is lost."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rl_core.serving.loaded import LoadedModel
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.context import DeskContext
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.runner import build, verdicts
from rl_core.steps.step import Step
from rl_core.store.promotion import promote, roll_back
from tests.chain import OPTIONS, bars_file, changed, deploy, run_chain
from tests.conftest import small_desk
from tests.crash import KILLED, run_stopped

REASON = "paper trading since May, approved by risk"
MOST_WRITES = 200


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> DeskContext:
    """A chain that ends in a served version."""
    folder = tmp_path_factory.mktemp("crashes")
    desk = small_desk(bars_file(folder)).with_settings(
        {"bc.epochs": 1, "ppo.iterations": 1, "ppo.num_envs": 32, "ppo.checkpoint_every": 1}
    )
    context = run_chain(desk, folder)
    deploy(context)
    return context


def at_every_write(
    whole: DeskContext,
    folder: Path,
    act: Callable[[DeskContext], object],
    inspect: Callable[[DeskContext], None],
    *,
    is_full: bool,
    every: int = 1,
) -> int:
    """Stop `act` before each of its writes, look at what is left, and do it again without a hand.

    Args:
        whole: the chain that is copied each time.
        folder: where to.
        act: what is stopped.
        inspect: looks at what is left.
        is_full: the disk is full from then on, instead of the process being killed.
        every: look at every write, or at every third, where one takes long.

    Returns:
        How often it was stopped.
    """
    for stopped in range(0, MOST_WRITES, every):
        root = folder / f"{stopped}"
        shutil.copytree(whole.root / "lake", root / "lake")
        for name in ("models", "trials"):
            shutil.copytree(whole.root / name, root / name)
        context = DeskContext.open(whole.desk, root)
        code = run_stopped(lambda c=context: act(c), stopped, is_full=is_full)
        assert code in (0, KILLED), f"stopped at write {stopped}"
        inspect(context)
        act(context)
        inspect(context)
        assert no_litter(root) == [], f"stopped at write {stopped}"
        shutil.rmtree(root)
        if code == 0:
            return stopped
    raise AssertionError(f"it writes more than {MOST_WRITES} times")


def no_litter(root: Path) -> list[str]:
    return [str(p) for p in root.rglob("*") if p.name.startswith(".writing.") or p.suffix == ".tmp"]


def everything_can_be_read(whole: DeskContext) -> Callable[[DeskContext], None]:
    """Whatever was sealed or served before the crash is there, verified, and answers."""
    before = {step.name: whole.artifacts.current(step.name) for step in (*GATE.ancestors, GATE)}
    versions, trials = set(whole.models.versions()), whole.trials.trials()

    def inspect(context: DeskContext) -> None:
        for step in (*GATE.ancestors, GATE):
            context.open_artifact(step, before[step.name]).artifact.folder.verify()
            context.open_artifact(step).artifact.folder.verify()
            verdicts(context, step)
        assert versions <= set(context.models.versions())
        for name in context.models.versions():
            context.models.verify(context.models.version(name))
        LoadedModel.of_version(context.models.served("shadow"))
        context.models.pointers()
        known = {trial.policy for trial in context.trials.trials()}
        assert {trial.policy for trial in trials} <= known

    return inspect


STEPS: tuple[Step[Any], ...] = (REGIMES, GATE)


@pytest.mark.parametrize("is_full", [False, True], ids=["killed", "full disk"])
@pytest.mark.parametrize("step", STEPS[:1], ids=lambda step: step.name)
def test_a_build_that_is_stopped_at_any_write_loses_nothing(
    whole: DeskContext, tmp_path: Path, step: Step[Any], is_full: bool
) -> None:
    def act(context: DeskContext) -> None:
        """Another artefact than the one that is there, and then the old one again."""
        build(changed(context, regime_filter__min_train_rows=499), step)
        build(context, step)

    inspect = everything_can_be_read(whole)
    assert at_every_write(whole, tmp_path, act, inspect, is_full=is_full) > 8


@pytest.mark.parametrize("is_full", [False, True], ids=["killed", "full disk"])
def test_a_deployment_that_is_stopped_at_any_write_loses_nothing(
    whole: DeskContext, tmp_path: Path, is_full: bool
) -> None:
    inspect = everything_can_be_read(whole)
    assert at_every_write(whole, tmp_path, deploy, inspect, is_full=is_full) > 8


@pytest.mark.parametrize("is_full", [False, True], ids=["killed", "full disk"])
def test_a_promotion_or_rollback_that_is_stopped_at_any_write_is_done_once(
    whole: DeskContext, tmp_path: Path, is_full: bool
) -> None:
    (version,) = whole.models.versions()

    def act(context: DeskContext) -> None:
        promote(context.models, version, REASON)
        roll_back(context.models, version, "shadow")

    readable = everything_can_be_read(whole)

    def inspect(context: DeskContext) -> None:
        readable(context)
        promotions = context.models.version(version).manifest.promotions
        assert {promotion.reason for promotion in promotions} <= {REASON}

    assert at_every_write(whole, tmp_path, act, inspect, is_full=is_full) >= 6


@pytest.mark.slow
@pytest.mark.parametrize("is_full", [False, True], ids=["killed", "full disk"])
def test_a_training_that_is_stopped_at_any_write_is_counted_and_can_be_run_again(
    whole: DeskContext, tmp_path: Path, is_full: bool
) -> None:
    readable = everything_can_be_read(whole)

    def act(context: DeskContext) -> None:
        build(changed(context, ppo__seed=7, ppo__iterations=2), PPO, OPTIONS)

    def inspect(context: DeskContext) -> None:
        for step in PPO.ancestors:
            context.open_artifact(step).artifact.folder.verify()
        context.open_artifact(PPO).artifact.folder.verify()
        LoadedModel.of_version(context.models.served("shadow"))
        context.trials.trials()

    def counted(context: DeskContext) -> None:
        inspect(context)
        sealed = {
            context.artifacts.open(PPO.name, identity).seal.files["policy.safetensors"]
            for identity in context.artifacts.identities(PPO.name)
        }
        known = {trial.policy for trial in context.trials.trials()}
        if context.artifacts.current(PPO.name) != whole.artifacts.current(PPO.name):
            assert sealed <= known

    every = 3 if is_full else 1  # a training a write: killed at each, the disk full at every third
    assert at_every_write(whole, tmp_path, act, counted, is_full=is_full, every=every) > 12
    readable(whole)


@pytest.mark.slow
def test_a_clone_and_a_judgement_that_are_stopped_at_any_write_lose_nothing(
    whole: DeskContext, tmp_path: Path
) -> None:
    def act(context: DeskContext) -> None:
        build(context, CLONE, OPTIONS)
        build(context, GATE)

    inspect = everything_can_be_read(whole)
    assert at_every_write(whole, tmp_path, act, inspect, is_full=False) > 12
