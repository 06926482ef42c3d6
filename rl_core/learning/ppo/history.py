"""What a PPO training did, iteration by iteration, in figures."""

import math
from typing import Any

from pydantic import BaseModel, ConfigDict

MIN_ENTROPY = 0.05  # nats; below it the policy has all but stopped to explore
TIMINGS = {"steps_per_second", "rollout_seconds", "policy_seconds", "critic_seconds"}


class Validation(BaseModel):
    """How a policy did on the validation span."""

    model_config = ConfigDict(frozen=True)

    iteration: int  # 0: before training
    score: float | None  # higher is better
    figures: dict[str, Any]
    returns: tuple[float, ...] = ()  # over stretches of the span, so that candidates compare

    @property
    def rank(self) -> float:
        """A score that compares: one that is unknown or not a number is the worst."""
        return self.score if self.score is not None and math.isfinite(self.score) else -math.inf


class PPOIteration(BaseModel):
    """Figures of one iteration; losses are means over its minibatches."""

    model_config = ConfigDict(frozen=True)

    iteration: int  # 0 and below: critic warm-up
    env_steps: int  # so far
    steps_per_second: float  # learning included
    rollout_seconds: float
    policy_seconds: float
    critic_seconds: float
    learning_rate: float  # of the actor
    mean_return: float | None  # per account and rollout, in units of reward
    reward_terms: dict[str, float | None]  # mean of each part of the reward, per step
    lasting_reward: float | None  # mean per step without the terms that fade
    curriculum: dict[str, float]  # what is ramped, as it stood in this iteration
    reward_mean: float | None  # per step
    reward_sd: float | None
    advantage_mean: float | None  # before normalisation
    advantage_sd: float | None
    value_mean: float | None
    order_share: float  # of decisions that are not HOLD
    terminated_share: float  # of steps that broke a rule
    policy_loss: float | None
    value_loss: float | None
    entropy: float | None
    approx_kl: float | None
    clip_fraction: float | None
    clone_kl: float | None
    epochs: int  # that the policy learned; fewer after an early stop
    explained_variance: float | None
    auxiliary_losses: dict[str, float]  # per horizon; empty when the heads are not trained
    gradient_norms: dict[str, float]  # before clipping, by part of the network
    skipped_updates: int  # so far
    skipped_by_cause: dict[str, int]  # so far; one step may have several
    validation_score: float | None
