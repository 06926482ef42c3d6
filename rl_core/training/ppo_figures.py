"""What one PPO iteration did, in figures. Shapes: T steps, N accounts, H horizons."""

from dataclasses import dataclass

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from rl_core.trading.accounts import HOLD
from rl_core.training.config import PPOConfig
from rl_core.training.rollout import Rollout


class PPOIteration(BaseModel):
    """Figures of one iteration; losses are means over its minibatches."""

    model_config = ConfigDict(frozen=True)

    iteration: int  # 0 and below: critic warm-up
    env_steps: int  # so far
    steps_per_second: float  # learning included
    mean_return: float  # per account and window, in units of reward
    order_share: float  # of decisions that are not HOLD
    trade_share: float  # of steps that traded
    terminated_share: float  # of steps that broke a rule
    policy_loss: float | None
    value_loss: float | None
    entropy: float | None
    approx_kl: float | None
    clip_fraction: float | None
    explained_variance: float
    auxiliary_losses: dict[str, float]  # per horizon; empty when the heads are not trained
    gradient_norms: dict[str, float]  # before clipping, by part of the network
    skipped_updates: int  # so far
    validation_score: float | None


@dataclass(frozen=True)
class Batch:
    """A rollout with what was computed from it."""

    rollout: Rollout
    advantages: Tensor  # (T, N) normalised
    returns: Tensor  # (T, N)


def finite_mean(figures: list[Tensor]) -> float | None:
    """Mean of those that are finite; None if there is none, since JSON knows no NaN."""
    if not figures:
        return None
    stacked = torch.stack(figures)
    known = stacked[stacked.isfinite()]
    return float(known.mean()) if len(known) else None


def summarise_iteration(
    iteration: int,
    batch: Batch,
    losses: list[dict[str, Tensor]],
    value_losses: list[Tensor],
    horizons: tuple[str, ...],
    config: PPOConfig,
    skipped_updates: int,
    elapsed_seconds: float,
    score: float | None,
) -> PPOIteration:
    """Bring an iteration's figures to the host, once."""
    rollout = batch.rollout
    steps_each = rollout.reward.numel()
    unexplained = (batch.returns - rollout.value).var() / batch.returns.var().clamp(min=1e-12)

    def mean(name: str) -> float | None:
        return finite_mean([row[name] for row in losses])

    auxiliary: dict[str, float] = {}
    if losses and config.auxiliary_losses:
        for position, horizon in enumerate(horizons):
            loss = finite_mean([row["returns"][position] for row in losses])
            if loss is not None:
                auxiliary[horizon] = loss
    parts = ("encoder", "policy_head", "value_head", "return_heads")
    return PPOIteration(
        iteration=iteration,
        env_steps=(iteration + config.critic_warmup_iterations) * steps_each,
        steps_per_second=steps_each / elapsed_seconds,
        mean_return=float(rollout.reward.sum(dim=0).mean()),
        order_share=float((rollout.category != HOLD).float().mean()),
        trade_share=float(rollout.traded.float().mean()),
        terminated_share=float(rollout.terminated.float().mean()),
        policy_loss=mean("policy_loss"),
        value_loss=finite_mean(value_losses),
        entropy=mean("entropy"),
        approx_kl=mean("approx_kl"),
        clip_fraction=mean("clip_fraction"),
        explained_variance=float(1 - unexplained),
        auxiliary_losses=auxiliary,
        gradient_norms={
            p: v for p in parts if losses and p in losses[0] and (v := mean(p)) is not None
        },
        skipped_updates=skipped_updates,
        validation_score=score,
    )
