"""Collect experience: indices and account features, never observations.

An episode is one rollout long, so that every window is cut off at the rollout's last step and the
bootstrap needs one extra forward pass only. An account that breaks a rule starts again at a
random bar. Shapes: T steps, N accounts, B bars.
"""

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from rl_core.envs.spot import (
    SpotMarket,
    SpotParams,
    SpotState,
    account_state,
    observe,
    open_accounts,
    step,
)
from rl_core.errors import TollgateError
from rl_core.models.actor_critic import ActorCritic
from rl_core.models.hybrid_action import action_log_prob, sample_action


@dataclass(frozen=True)
class Rollout:
    """T steps of N accounts; row t holds what was seen, done and earned at step t."""

    bar: Tensor  # (T, N) int64
    account: Tensor  # (T, N, 4)
    category: Tensor  # (T, N) int64
    strength_logit: Tensor  # (T, N)
    log_prob: Tensor  # (T, N)
    value: Tensor  # (T, N)
    reward: Tensor  # (T, N)
    terminated: Tensor  # (T, N) bool
    last_value: Tensor  # (N,) of the observation after the last step
    traded: Tensor  # (T, N) bool


@dataclass(frozen=True)
class TrainingMarket:
    """Where accounts trade while learning, and from which bars they may start."""

    market: SpotMarket
    params: SpotParams
    starts: Tensor  # (S,) int64 bars from which a whole window lies inside the training span

    def reset(self, num_envs: int, window_bars: int, generator: torch.Generator) -> SpotState:
        """Fresh accounts at random starts, each cut off after the window."""
        bar = self.random_bars(num_envs, generator)
        return open_accounts(self.params, self.market, bar, bar + window_bars)

    def random_bars(self, num_envs: int, generator: torch.Generator) -> Tensor:
        """(N,) bars drawn from the starts."""
        pick = torch.randint(
            len(self.starts), (num_envs,), generator=generator, device=self.starts.device
        )
        return self.starts[pick]


def allowed_starts(kept_bars: Tensor, window_bars: int) -> Tensor:
    """Kept bars whose window ends no later than the last of them.

    Raises:
        TollgateError: the training span is shorter than a window.
    """
    starts = kept_bars[kept_bars + window_bars <= kept_bars.max()]
    if not len(starts):
        raise TollgateError(
            f"rollout_steps must be shorter than the training span, was {window_bars} for "
            f"{len(kept_bars)} training bars"
        )
    return starts


@torch.no_grad()
def collect_rollout(
    model: ActorCritic,
    training: TrainingMarket,
    num_envs: int,
    num_steps: int,
    generator: torch.Generator,
) -> Rollout:
    """Let the policy trade `num_envs` fresh accounts for one window."""
    model.eval()
    market, params = training.market, training.params
    state = training.reset(num_envs, num_steps, generator)
    rows: list[tuple[Tensor, ...]] = []
    for elapsed in range(num_steps):
        account = account_state(market, state)
        heads = model(torch.cat([market.features[state.bar], account], dim=-1))
        action = sample_action(model, heads, generator)
        log_prob = action_log_prob(model, heads, action).log_prob
        result = step(market, params, state, action.category, action.strength)
        traded = result.state.units != state.units
        rows.append(
            (
                state.bar,
                account,
                action.category,
                action.strength_logit,
                log_prob,
                heads.value,
                result.reward.float(),
                result.terminated,
                traded,
            )
        )
        restart = training.random_bars(num_envs, generator)
        fresh = open_accounts(params, market, restart, restart + num_steps - elapsed - 1)
        state = select_state(result.terminated, fresh, result.state)
    last_value = model(observe(market, state)).value
    bar, account, category, logit, log_prob, value, reward, terminated, traded = (
        torch.stack(column) for column in zip(*rows, strict=True)
    )
    return Rollout(
        bar, account, category, logit, log_prob, value, reward, terminated, last_value, traded
    )


def select_state(condition: Tensor, if_true: SpotState, if_false: SpotState) -> SpotState:
    """Account by account, one state or the other."""
    return SpotState(
        **{
            field.name: torch.where(
                condition, getattr(if_true, field.name), getattr(if_false, field.name)
            )
            for field in fields(SpotState)
        }
    )
