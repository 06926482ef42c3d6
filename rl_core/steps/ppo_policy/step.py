"""ppo_policy: the clone, improved by trading the training span."""

from collections.abc import Callable
from typing import Any

import numpy as np
from safetensors.torch import save_file

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import read_json, sha256_json, write_json
from rl_core.desk import parse_desk
from rl_core.learning.cloning.clone import cloning_scores
from rl_core.learning.models.policy_file import INITIAL_HEADS, WEIGHTS, Policy, save_policy
from rl_core.learning.ppo.figures import PPOIteration
from rl_core.learning.ppo.plot import plot_learning
from rl_core.learning.ppo.reporting import TIMINGS
from rl_core.learning.ppo.verdict import training_verdict
from rl_core.steps import CHAIN
from rl_core.steps.bc_policy import demonstrations
from rl_core.steps.context import Workplace
from rl_core.steps.ppo_policy.checkpoints import TrainingOptions
from rl_core.steps.ppo_policy.session import Trained, run_ppo
from rl_core.store.artifacts import Artifact
from rl_core.store.checkpoints import remove_checkpoints
from rl_core.store.trials import Trial

MIN_EXPLAINED_VARIANCE = 0.5
TRIAL = "trial.json"


def build_ppo_policy(
    work: Workplace, options: TrainingOptions, say: Callable[[str], None]
) -> Artifact:
    """Fine-tune the clone with PPO and seal the best validated policy.

    Raises:
        Interrupted: it was asked to stop; nothing is sealed and a checkpoint is left.
    """
    inputs = work.inputs("bars", "regime_dataset", "bc_policy")
    metadata: dict[str, Any] = {}
    timings: dict[str, float] = {}
    config: dict[str, Any] = {}
    with work.lake.build("ppo_policy", inputs, config, metadata, timings) as directory:
        trained = run_ppo(work, options, say)
        learner, best = trained.learner, trained.learner.best_iteration
        say(best_line(best, is_heads_only=trained.config.ppo.train_heads_only))
        horizons = trained_horizons(trained)
        spec = trained.spec.model_copy(update={"trained_horizons": horizons})
        save_policy(directory, Policy(learner.model, spec))
        save_file(trained.initial_heads, directory / INITIAL_HEADS)
        write_json(directory / TRIAL, trial_facts(work, trained))
        history = [each.model_dump(exclude=TIMINGS) for each in learner.history]
        write_json(directory / "history.json", history)
        write_json(directory / "metrics.json", trained.log.summaries)
        plot_learning(directory / "learning.png", learner.history)
        config |= trained.config.resolved()
        metadata |= figures(work, trained, options)
        rates = [each.steps_per_second for each in learner.history]
        timings["steps_per_second"] = float(np.median(rates))
    remove_checkpoints(trained.folder)
    artifact = work.lake.load("ppo_policy")
    record_trial(work)
    return artifact


def record_trial(work: Workplace) -> None:
    """Enter the sealed training into the ledger, if it is not there.

    Raises:
        TollgateError: it was trained by an earlier version, which did not count trials.
    """
    artifact = work.lake.seal("ppo_policy")
    if TRIAL not in artifact.files:
        raise TollgateError(
            f"ppo_policy of desk {work.desk.name} must say what it was picked from, was trained by "
            "an earlier version: train it again"
        )
    told = {name: artifact.config[name] for name in ("ppo", "model", "regime_filter")}
    facts = {
        **read_json(work.lake.path("ppo_policy", TRIAL)),
        "policy": artifact.files[WEIGHTS],
        "made_at": artifact.created_at,
        "settings": sha256_json(told),
    }
    work.trials.record(validated(Trial, facts, f"{TRIAL} of ppo_policy"))


def trial_facts(work: Workplace, trained: Trained) -> dict[str, Any]:
    """What the ledger needs and the seal does not say."""
    validations = trained.learner.validations
    best = next(v for v in validations if v.iteration == trained.learner.best_iteration)
    return {
        "seeds": len(work.lake.seal("bc_policy").config["bc"]["seeds"]),
        "dataset": work.lake.seal("offline_dataset").content,
        "validation_sharpe": best.score,
        "candidates": [validation.returns for validation in validations],
    }


def figures(work: Workplace, trained: Trained, options: TrainingOptions) -> dict[str, Any]:
    """What a person wants to know of a training that is done."""
    learner, best = trained.learner, trained.learner.best_iteration
    kept = next((each for each in learner.history if each.iteration == best), learner.history[-1])
    validations = {each.iteration: each.figures for each in learner.validations}
    desk, horizons = work.desk, work.desk.dataset.horizons
    rows, _ = demonstrations(work, options.device)
    return {
        "started_from": trained.started_from,
        "best_iteration": best,
        "env_steps": learner.env_steps,
        "explained_variance": learner.history[-1].explained_variance,  # of the critic as trained
        "entropy": kept.entropy,
        "skipped_updates": learner.guard.skipped,
        "skipped_by_cause": learner.guard.skipped_by_cause(),
        # on all training rows: those logged at each update are of that rollout's bars only
        "return_losses_before": dict(zip(horizons, trained.losses_before, strict=True)),
        "return_losses_after": dict(
            zip(horizons, cloning_scores(learner.model, rows, desk.bc).return_losses, strict=True)
        ),
        "validation_of_clone": validations[0],
        "validation": validations[best],
        "score": trained.log.summaries[-1]["score"]["score"],
    }


def trained_horizons(trained: Trained) -> tuple[str, ...]:
    """Horizons whose head belongs to the kept encoder.

    A head that PPO leaves alone while it moves the encoder is no longer trained.
    """
    ppo, before = trained.config.ppo, trained.spec.trained_horizons
    now = tuple(h for h in trained.spec.horizons if ppo.auxiliary_coefficient(h) > 0)
    if ppo.train_heads_only:
        return tuple(h for h in trained.spec.horizons if h in {*before, *now})
    if trained.learner.best_iteration == 0:
        return before if trained.started_from != "a new network" else ()
    return now


def best_line(best: int, *, is_heads_only: bool = False) -> str:
    """Which iteration was kept."""
    if is_heads_only:
        return f"ppo: the return heads of iteration {best} are kept; the policy is as it was"
    if best == 0:
        return (
            "ppo: no iteration did better on the validation span than the policy it started from, "
            "which is kept"
        )
    return f"ppo: iteration {best} did best on the validation span and is kept"


def run_checks(work: Workplace) -> list[Check]:
    """Warn of training that went badly."""
    artifact = work.lake.load("ppo_policy")
    metadata = artifact.metadata
    is_heads_only = parse_desk(artifact.config, "ppo_policy").ppo.train_heads_only
    variance, skipped = metadata["explained_variance"], metadata["skipped_updates"]
    return [
        Check(
            name="no_update_was_skipped",
            passed=skipped == 0,
            is_blocking=CHAIN["ppo_policy"]["no_update_was_skipped"],
            detail=f"{skipped} updates skipped for losses or gradients that were not finite",
            figures={"skipped": skipped},
        ),
        Check(
            name="critic_explains_the_returns",
            passed=variance is not None and variance > MIN_EXPLAINED_VARIANCE,
            is_blocking=CHAIN["ppo_policy"]["critic_explains_the_returns"],
            detail=f"explained variance {variance}, above {MIN_EXPLAINED_VARIANCE}"
            if variance is None
            else f"explained variance {variance:.2f}, above {MIN_EXPLAINED_VARIANCE}",
            figures={"explained_variance": variance},
        ),
        Check(
            name="ppo_improved_on_the_clone",
            passed=metadata["best_iteration"] > 0,
            is_blocking=CHAIN["ppo_policy"]["ppo_improved_on_the_clone"],
            detail=best_line(metadata["best_iteration"], is_heads_only=is_heads_only),
            figures={"best_iteration": metadata["best_iteration"]},
        ),
        *verdict_of(work, artifact),
    ]


def verdict_of(work: Workplace, artifact: Artifact) -> list[Check]:
    """The verdict on the sealed training."""
    ppo = parse_desk(artifact.config, "ppo_policy").ppo
    stored = read_json(work.lake.path("ppo_policy", "history.json"))
    untimed = dict.fromkeys(TIMINGS, 0.0)
    history = [PPOIteration.model_validate({**untimed, **each}) for each in stored]
    summaries = read_json(work.lake.path("ppo_policy", "metrics.json"))
    return training_verdict(
        history, summaries, ppo.num_iterations, ppo.summary_every,
        is_heads_only=ppo.train_heads_only,
    )  # fmt: skip
