"""ppo_policy, built: train, and keep the policy that did best on the validation span."""

import logging
from typing import Any

import numpy as np

from rl_core.base.files import write_json
from rl_core.learning.models.policy_file import INITIAL_HEADS, Policy, save_policy
from rl_core.learning.ppo.history import TIMINGS
from rl_core.learning.ppo.plot import plot_learning
from rl_core.learning.ppo.sizing import SIZES
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.context import Task
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.ppo_policy.facts import PPOFacts
from rl_core.steps.ppo_policy.heads import shrink
from rl_core.steps.ppo_policy.session import Trained, run_ppo
from rl_core.steps.ppo_policy.start import return_losses
from rl_core.steps.ppo_policy.step import HISTORY_FILE, METRICS_FILE, TRIAL, best_line
from rl_core.steps.regime_dataset import REGIMES
from rl_core.store.checkpoints import remove_checkpoints
from rl_core.store.tensors import write_tensors
from rl_core.trading.performance import Performance

log = logging.getLogger(__name__)


def build(task: Task) -> PPOFacts:
    """Fine-tune the clone with PPO.

    Raises:
        Interrupted: it was asked to stop; nothing is sealed and a checkpoint is left.
    """
    trained, directory = run_ppo(task), task.directory
    learner = trained.learner
    log.info(best_line(learner.best_iteration, is_heads_only=trained.config.ppo.train_heads_only))
    of_heads = shrink(task, trained.learner.model)
    spec = trained.spec.model_copy(update={"trained_horizons": trained_horizons(trained)})
    save_policy(directory, Policy(learner.model, spec))
    write_tensors(directory / INITIAL_HEADS, trained.initial_heads)
    write_json(directory / TRIAL, trial_facts(task, trained))
    history = [each.model_dump(exclude=TIMINGS) for each in learner.history]
    write_json(directory / HISTORY_FILE, history)
    write_json(directory / METRICS_FILE, trained.log.summaries)
    plot_learning(directory / "learning.png", learner.history)
    rates = [each.steps_per_second for each in learner.history]
    task.timings["steps_per_second"] = float(np.median(rates))
    task.afterwards.append(lambda: remove_checkpoints(trained.folder))
    return facts(task, trained).model_copy(update=of_heads)


def trial_facts(task: Task, trained: Trained) -> dict[str, Any]:
    """What the ledger needs and the seal does not say."""
    validations = trained.learner.validations
    best = next(v for v in validations if v.iteration == trained.learner.best_iteration)
    offline = task.context.input_of(task.input(REGIMES), OFFLINE_DATASET)
    return {
        "seeds": number_of_clones(task),
        "dataset": offline.content,
        "validation_sharpe": best.score,
        "candidates": [validation.returns for validation in validations],
    }


def number_of_clones(task: Task) -> int:
    """Clones from which the one that training starts from was picked."""
    return len(task.input(CLONE).seal.settings["bc"]["seeds"])


def facts(task: Task, trained: Trained) -> PPOFacts:
    """What a person wants to know of a training that is done."""
    learner, best = trained.learner, trained.learner.best_iteration
    kept = next((each for each in learner.history if each.iteration == best), learner.history[-1])
    validations = {each.iteration: each.figures for each in learner.validations}
    horizons = task.context.desk.dataset.horizons
    after = return_losses(task, Policy(learner.model, trained.spec), task.options.device)
    return PPOFacts(
        started_from=trained.started_from,
        best_iteration=best,
        env_steps=learner.env_steps,
        sizes={name: getattr(trained.config.ppo, name) for name in SIZES},
        seeds=number_of_clones(task),
        explained_variance=learner.history[-1].explained_variance,
        entropy=kept.entropy,
        skipped_updates=learner.guard.skipped,
        skipped_by_cause=learner.guard.skipped_by_cause(),
        return_losses_before=dict(zip(horizons, trained.losses_before, strict=True)),
        return_losses_after=dict(zip(horizons, after, strict=True)),
        validation_of_clone=Performance.model_validate(validations[0]),
        validation=Performance.model_validate(validations[best]),
        score=trained.log.summaries[-1]["score"]["score"],
    )


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
