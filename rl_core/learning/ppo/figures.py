"""What one PPO iteration did, in figures. Shapes: T steps, N accounts, H horizons."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from rl_core.learning.envs.core import Environment
from rl_core.learning.ppo.history import PPOIteration
from rl_core.learning.ppo.rollout import Rollout
from rl_core.learning.ppo.update import Losses
from rl_core.trading.accounts import HOLD


@dataclass(frozen=True)
class Batch:
    """A rollout with what was computed from it."""

    rollout: Rollout
    advantages: Tensor  # (T, N) normalised
    returns: Tensor  # (T, N)
    advantage_mean: Tensor  # ()
    advantage_variance: Tensor  # ()


@dataclass
class UpdateLog:
    """Device figures of every minibatch of one iteration."""

    losses: list[Losses]
    norms: list[dict[str, Tensor]]
    value_losses: list[Tensor]
    return_losses: list[Tensor]
    epochs: int = 0

    @classmethod
    def empty(cls) -> "UpdateLog":
        """Sums of no minibatch at all."""
        return cls([], [], [], [])


def finite_mean(figures: list[Tensor]) -> float | None:
    """Mean of those that are finite; None if there is none, since JSON knows no NaN."""
    if not figures:
        return None
    stacked = torch.stack(figures).float()
    known = stacked[stacked.isfinite()]
    return float(known.mean()) if len(known) else None


def known(figure: Tensor) -> float | None:
    """A figure for JSON, which knows no NaN."""
    value = float(figure)
    return value if math.isfinite(value) else None


def summarise_iteration(
    iteration: int,
    env_steps: int,
    batch: Batch,
    log: UpdateLog,
    environment: Environment[Any],
    horizons: tuple[str, ...],
    seconds: Sequence[float],
    learning_rate: float,
    skipped: tuple[int, dict[str, int]],
    score: float | None,
    processes: int = 1,
) -> PPOIteration:
    """Bring an iteration's figures to the host, once."""
    rollout = batch.rollout
    unexplained = (batch.returns - rollout.value).var() / batch.returns.var().clamp(min=1e-12)

    def mean(name: str) -> float | None:
        return finite_mean([getattr(losses, name) for losses in log.losses])

    auxiliary: dict[str, float] = {}
    for position, horizon in enumerate(horizons if log.return_losses else ()):
        loss = finite_mean([losses[position] for losses in log.return_losses])
        if loss is not None:
            auxiliary[horizon] = loss
    norms = {part: finite_mean([row[part] for row in log.norms]) for part in (log.norms or [{}])[0]}
    terms = rollout.tally.means(environment.reward_terms, len(rollout.reward))
    lasting = [mean for name, mean in terms.items() if name not in environment.annealed_terms]
    return PPOIteration(
        iteration=iteration,
        env_steps=env_steps,
        steps_per_second=rollout.reward.numel() * processes / sum(seconds),
        rollout_seconds=seconds[0],
        policy_seconds=seconds[1],
        critic_seconds=seconds[2],
        learning_rate=learning_rate,
        mean_return=known(rollout.reward.sum(dim=0).mean()),
        reward_terms=terms,
        lasting_reward=None if None in lasting else sum(each for each in lasting if each),
        curriculum={name: float(value) for name, value in environment.curriculum.items()},
        reward_mean=known(rollout.reward.mean()),
        reward_sd=known(rollout.reward.std(correction=0)),
        advantage_mean=known(batch.advantage_mean),
        advantage_sd=known(batch.advantage_variance.sqrt()),
        value_mean=known(rollout.value.mean()),
        order_share=float((rollout.category != HOLD).float().mean()),
        terminated_share=float(rollout.terminated.float().mean()),
        policy_loss=mean("policy"),
        value_loss=finite_mean(log.value_losses or [losses.value for losses in log.losses]),
        entropy=mean("entropy"),
        approx_kl=mean("approx_kl"),
        clip_fraction=mean("clip_fraction"),
        clone_kl=mean("clone_kl"),
        epochs=log.epochs,
        explained_variance=known(1 - unexplained),
        auxiliary_losses=auxiliary,
        gradient_norms={part: norm for part, norm in norms.items() if norm is not None},
        skipped_updates=skipped[0],
        skipped_by_cause=skipped[1],
        validation_score=score,
    )
