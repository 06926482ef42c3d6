"""Collect experience: table rows and account features, never observations.

Shapes: T steps, N accounts, P account features, C chunks of a recurrent network, G its layers,
D its width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, NamedTuple, TypeVar

import torch
from torch import Tensor

from rl_core.learning.envs.core import Environment, Observation, State, Step
from rl_core.learning.hardware.precision import Precision
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.models.hybrid_action import Noise, action_log_prob, draw_noise, sample_action
from rl_core.learning.ppo.tracker import Tally
from rl_core.learning.settings import PPOConfig

S = TypeVar("S", bound=tuple[Any, ...])


@dataclass(frozen=True)
class Rollout:
    """T steps of N accounts; row t holds what was seen, done and earned at step t."""

    bar: Tensor  # (T, N) int32, of the table
    account_features: Tensor  # (T, N, P) standardised
    category: Tensor  # (T, N) int8
    strength_logit: Tensor  # (T, N)
    log_prob: Tensor  # (T, N)
    value: Tensor  # (T, N)
    next_value: Tensor  # (T, N) of the observation after the step, before any reset
    reward: Tensor  # (T, N)
    terminated: Tensor  # (T, N) bool
    ended: Tensor  # (T, N) bool, terminated or cut off
    starts: Tensor  # (T, N) bool, an episode begins with this step
    tally: Tally  # what the steps did to the money, summed
    memory: Tensor | None  # (C, G, N, D) before each chunk


@dataclass(frozen=True)
class SharedFeatures:
    """What the accounts share, standardised once for the whole training."""

    rows: Tensor  # (B, F)

    @classmethod
    @torch.no_grad()
    def prepare(
        cls, model: ActorCritic, features: Tensor, precision: Precision
    ) -> "SharedFeatures":
        """Standardise the shared columns; in low precision they are stored in it."""
        standardised = model.standardiser(features, slice(0, features.shape[1]))
        return cls(standardised.to(precision.dtype))

    def gather(self, row: Tensor, account_features: Tensor) -> Tensor:
        """Network inputs (..., F + P) of some rows and standardised account features."""
        return torch.cat([self.rows[row], account_features.to(self.rows.dtype)], dim=-1)


class StepRecord(NamedTuple, Generic[S]):
    """The tensors that one step of a rollout leaves behind."""

    step: Step[S]  # as the environment left it
    state: S  # its state, with those that ended started afresh
    memory: Tensor | None
    account_features: Tensor
    bar: Tensor
    category: Tensor
    strength_logit: Tensor
    log_prob: Tensor
    value: Tensor
    next_value: Tensor
    reward: Tensor
    ended: Tensor


class RolloutCarry(NamedTuple, Generic[S]):
    """Where a rollout ended, for environments whose episodes go on."""

    state: S
    starts: Tensor  # (N,) bool
    memory: Tensor | None  # (G, N, D)


def rollout_step(
    model: ActorCritic,
    table: SharedFeatures,
    environment: Environment[State],
    state: State,
    memory: Tensor | None,
    starts: Tensor,
    noise: Noise,
    fresh: State,
    precision: Precision,
) -> StepRecord[State]:
    """Look, act, trade: a pure function that a compiler can take whole."""
    seen = environment.observe(state)
    account_features = standardised(model, seen)
    with precision.autocast():
        features, memory = model.encoder(
            table.gather(seen.bar, account_features).unsqueeze(0), memory, starts.unsqueeze(0)
        )
        heads = model.heads(features.squeeze(0))
    action = sample_action(model, heads, noise)
    log_prob = action_log_prob(model, heads, action).log_prob
    result = environment.step(state, action.category, action.strength)
    next_value = torch.zeros_like(heads.value)
    if environment.truncates_within_rollout:
        next_value = observed_value(model, table, environment, result.state, memory, precision)
    ended = result.terminated | result.truncated
    return StepRecord(
        step=result,
        state=environment.auto_reset(ended, result.state, fresh),
        memory=memory,
        account_features=account_features,
        bar=seen.bar,
        category=action.category,
        strength_logit=action.strength_logit,
        log_prob=log_prob,
        value=heads.value,
        next_value=next_value,
        reward=result.reward.float(),
        ended=ended,
    )


def standardised(model: ActorCritic, seen: Observation) -> Tensor:
    """Private features in the network's units, (N, P)."""
    size = seen.account_features.shape[-1]
    return model.standardiser(
        seen.account_features, slice(len(model.standardiser.mean) - size, None)
    )


def observed_value(
    model: ActorCritic,
    table: SharedFeatures,
    environment: Environment[State],
    state: State,
    memory: Tensor | None,
    precision: Precision,
) -> Tensor:
    """Value (N,) of what a state shows, given the memory of all before it."""
    seen = environment.observe(state)
    inputs = table.gather(seen.bar, standardised(model, seen)).unsqueeze(0)
    with precision.autocast():
        return model.value(model.encoder(inputs, memory)[0].squeeze(0))


def empty_rollout(
    num_steps: int,
    num_envs: int,
    num_account_features: int,
    environment: Environment[State],
    model: ActorCritic,
    chunk_steps: int,
    device: torch.device,
) -> Rollout:
    """Buffers that every rollout of a training is written into."""

    def buffer(dtype: torch.dtype, *rest: int) -> Tensor:
        return torch.zeros(num_steps, num_envs, *rest, dtype=dtype, device=device)

    gru = model.encoder.gru
    real, flag = torch.float32, torch.bool
    return Rollout(
        bar=buffer(torch.int32),
        account_features=buffer(real, num_account_features),
        category=buffer(torch.int8),
        strength_logit=buffer(real),
        log_prob=buffer(real),
        value=buffer(real),
        next_value=buffer(real),
        reward=buffer(real),
        terminated=buffer(flag),
        ended=buffer(flag),
        starts=buffer(flag),
        tally=Tally.zero(num_envs, len(environment.rules), len(environment.reward_terms), device),
        memory=None
        if gru is None
        else torch.zeros(
            num_steps // chunk_steps, gru.num_layers, num_envs, gru.hidden_size, device=device
        ),
    )


@torch.no_grad()
def collect_rollout(
    model: ActorCritic,
    table: SharedFeatures,
    environment: Environment[State],
    buffers: Rollout,
    position: RolloutCarry[State] | None,
    generator: torch.Generator,
    precision: Precision,
    take_step: Callable[..., StepRecord[State]] = rollout_step,
    on_step: Callable[[int, int], None] = lambda done, total: None,
) -> RolloutCarry[State]:
    """Let the policy trade for as many steps as the buffers have rows; where it ended.

    Args:
        model: the policy.
        table: the environment's features, prepared.
        environment: N accounts.
        buffers: overwritten.
        position: where the last rollout ended; None for the first.
        generator: of every draw.
        precision: of the network.
        take_step: `rollout_step`, or the same compiled.
        on_step: told after each step of how many.
    """
    num_steps, num_envs = buffers.reward.shape
    state, starts = environment.reset(
        position.state if position else None, num_envs, num_steps, generator
    )
    if position is not None:
        starts = starts | position.starts
    memory, after = first_memory(buffers, position, precision), state
    buffers.tally.clear()
    for t in range(num_steps):
        keep_memory(buffers, t, memory)
        noise = draw_noise(num_envs, model.num_actions, generator, buffers.reward.device)
        fresh = environment.reset_state(num_envs, num_steps - t - 1, generator)
        record = take_step(
            model, table, environment, state, memory, starts, noise, fresh, precision
        )
        write_step(buffers, t, record, starts)
        after, state, memory, starts = record.step.state, record.state, record.memory, record.ended
        on_step(t + 1, num_steps)
    last_value = observed_value(model, table, environment, after, memory, precision)
    follow_up(buffers, last_value)
    return RolloutCarry(state, starts, memory)


def blank_position(
    environment: Environment[State],
    model: ActorCritic,
    config: PPOConfig,
    device: torch.device,
) -> RolloutCarry[State]:
    """A position of the form that a rollout leaves, for a checkpoint to be read into."""
    generator = torch.Generator(device)
    state, starts = environment.reset(None, config.num_envs, config.rollout_steps, generator)
    gru = model.encoder.gru
    memory = None
    if gru is not None:
        memory = torch.zeros(gru.num_layers, config.num_envs, gru.hidden_size, device=device)
    return RolloutCarry(state, starts, memory)


def first_memory(
    buffers: Rollout, position: RolloutCarry[State] | None, precision: Precision
) -> Tensor | None:
    """(G, N, D) before the first step: as the last rollout left it, or zeros."""
    if buffers.memory is None or (position is not None and position.memory is not None):
        return None if position is None else position.memory
    return torch.zeros_like(buffers.memory[0], dtype=precision.dtype)


def keep_memory(buffers: Rollout, t: int, memory: Tensor | None) -> None:
    """Store the memory before step t, if a chunk begins there."""
    if buffers.memory is not None and memory is not None:
        chunk, offset = divmod(t * len(buffers.memory), len(buffers.reward))
        if not offset:
            buffers.memory[chunk] = memory


def write_step(buffers: Rollout, t: int, record: StepRecord[State], starts: Tensor) -> None:
    """Copy a step into row t."""
    for name in (
        "bar", "account_features", "category", "strength_logit", "log_prob", "value", "next_value",
        "reward", "ended",
    ):  # fmt: skip
        getattr(buffers, name)[t] = getattr(record, name)
    buffers.terminated[t] = record.step.terminated
    buffers.starts[t] = starts
    buffers.tally.add(record.step)


def follow_up(buffers: Rollout, last_value: Tensor) -> None:
    """Fill in the value after each step: that of the next row, unless the episode ended there."""
    buffers.next_value[:-1] = torch.where(
        buffers.ended[:-1], buffers.next_value[:-1], buffers.value[1:]
    )
    buffers.next_value[-1] = last_value
