"""ppo_policy, declared; torch is loaded by the build alone."""

import logging
from typing import Any

from rl_core.base.checks import Check, CheckSpec
from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import sha256_json
from rl_core.learning.ppo.history import TIMINGS, PPOIteration
from rl_core.learning.ppo.verdict import TRAINING_CHECKS, training_verdict
from rl_core.learning.settings import PPOConfig
from rl_core.steps.bars import BARS
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.context import DeskContext, Opened, Task
from rl_core.steps.ppo_policy.facts import PPOFacts
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.sections import ACCOUNT, LIMITS, MARKET
from rl_core.steps.step import Step
from rl_core.store.trials import Trial

MIN_EXPLAINED_VARIANCE = 0.5
WEIGHTS, TRIAL = "policy.safetensors", "trial.json"
HISTORY_FILE, METRICS_FILE = "history.json", "metrics.json"

log = logging.getLogger(__name__)


def build(task: Task) -> PPOFacts:
    """Improve the clone by trading the training span."""
    from rl_core.steps.ppo_policy.train import build as build_policy

    record_every_trial(task.context)
    return build_policy(task)


def as_trained(policy: Opened[PPOFacts]) -> dict[str, Any]:
    """The settings that it was trained with: those of the desk, with the sizes that fitted."""
    settings = policy.seal.settings
    return {**settings, "ppo": {**settings["ppo"], **policy.facts.sizes}}


def record_trial(context: DeskContext, policy: Opened[PPOFacts]) -> None:
    """Enter a sealed training into the ledger, if it is not there."""
    settings = as_trained(policy)
    told = {name: settings.get(name) for name in ("ppo", "model", "regime_filter")}
    facts = {
        **policy.read_json(TRIAL),
        "policy": policy.seal.files[WEIGHTS],
        "made_at": policy.seal.created_at,
        "settings": sha256_json(told),
    }
    context.trials.record(validated(Trial, facts, f"{TRIAL} of ppo_policy"))


def record_every_trial(context: DeskContext) -> None:
    """Enter every sealed training into the ledger: one may have been stopped before it could."""
    for identity in context.artifacts.identities(PPO.name):
        try:
            policy = context.open_artifact(PPO, identity)
        except TollgateError as error:  # damaged since; the ledger has it, or nothing can tell
            log.warning("ppo_policy: a training that may not be in the ledger: %s", error)
            continue
        record_trial(context, policy)


def best_line(best: int, *, is_heads_only: bool = False) -> str:
    """A line that says which iteration was kept."""
    if is_heads_only:
        return f"ppo: the return heads of iteration {best} are kept; the policy is as it was"
    if best == 0:
        return (
            "ppo: no iteration did better on the validation span than the policy it started from, "
            "which is kept"
        )
    return f"ppo: iteration {best} did best on the validation span and is kept"


def judge(_context: DeskContext, policy: Opened[PPOFacts]) -> list[Check]:
    """Warn of a training that went badly."""
    facts = policy.facts
    ppo = validated(PPOConfig, as_trained(policy)["ppo"], "settings of ppo_policy")
    variance, skipped, best = facts.explained_variance, facts.skipped_updates, facts.best_iteration
    said = "unknown" if variance is None else f"{variance:.2f}"
    untimed = dict.fromkeys(TIMINGS, 0.0)
    history = [
        PPOIteration.model_validate({**untimed, **each}) for each in policy.read_json(HISTORY_FILE)
    ]
    return [
        PPO.verdict(
            "no_update_was_skipped",
            skipped == 0,
            f"{skipped} updates skipped for losses or gradients that were not finite",
            skipped=skipped,
        ),
        PPO.verdict(
            "critic_explains_the_returns",
            variance is not None and variance > MIN_EXPLAINED_VARIANCE,
            f"explained variance {said}, above {MIN_EXPLAINED_VARIANCE}",
            explained_variance=variance,
        ),
        PPO.verdict(
            "ppo_improved_on_the_clone",
            best > 0,
            best_line(best, is_heads_only=ppo.train_heads_only),
            best_iteration=best,
        ),
        *training_verdict(
            history, policy.read_json(METRICS_FILE), ppo.num_iterations, ppo.summary_every,
            is_heads_only=ppo.train_heads_only,
        ),
    ]  # fmt: skip


PPO = Step(
    name="ppo_policy",
    about="""The clone, improved by trading thousands of accounts at once: PPO.

The critic learns first. The iteration that scores best on the validation span is kept. Runs
`tollgate ppo` as a child process.""",
    facts=PPOFacts,
    build=build,
    before_use=record_trial,
    needs=(BARS, REGIMES, CLONE),
    reads=(
        *MARKET, *ACCOUNT, "environment", "dataset.horizons", "regime_filter", "model", "bc", "ppo",
    ),
    ignores=(*LIMITS, "ppo.checkpoint_every"),
    checks=(
        CheckSpec(
            "no_update_was_skipped", False,
            "Losses or gradients that were not finite: the cause stands in the figures.",
        ),
        CheckSpec(
            "critic_explains_the_returns", False,
            "A critic that learned nothing: more --critic-epochs or a longer warm-up.",
        ),
        CheckSpec(
            "ppo_improved_on_the_clone", False,
            "No iteration beat the clone on validation, so the clone is kept.",
        ),
        *TRAINING_CHECKS,
    ),
    judge=judge,
    runs="child",
    takes_processes=True,
    command="ppo",
    technologies=("pytorch",),
)  # fmt: skip
