"""What every environment shares: the result of a step, and what the trainer asks of it.

An observation is never stored: it is a row of a table that all accounts share, beside the few
numbers that are an account's own. A state is a named tuple of tensors, so that it can be stored.
Shapes: N environments, B table rows, F features, P account_features ones.
"""

from collections.abc import Mapping
from typing import Any, Generic, NamedTuple, Protocol, Self, TypeVar

import torch
from torch import Tensor

from rl_core.base.errors import TollgateError

State = TypeVar("State", bound=tuple[Any, ...])


class Observation(NamedTuple):
    """What N accounts observe: a row of the shared features, and features of their own."""

    bar: Tensor  # (N,) of the environment's `features`
    account_features: Tensor  # (N, P) float32


class StepAccounting(NamedTuple):
    """What a step did to the money; zeros where an environment has none."""

    pnl: Tensor  # (N,) change of equity over the step, account currency
    closed: Tensor  # (N,) bool, a trade came to its end
    trade_pnl: Tensor  # (N,) what that trade earned, costs included; read only where one closed
    drawdown: Tensor  # (N,) 0..1 below the highest equity so far


class Step(NamedTuple, Generic[State]):
    """One step of N accounts, before any reset."""

    state: State
    reward_terms: tuple[Tensor, ...]  # (N,) each, in the order of the environment's names
    broken: tuple[Tensor, ...]  # (N,) bool each, in the order of the environment's rules
    terminated: Tensor  # (N,) bool, a rule was broken: do not bootstrap
    truncated: Tensor  # (N,) bool, the window ended: bootstrap from the observation of `state`
    ledger: StepAccounting

    @property
    def reward(self) -> Tensor:
        """(N,) the sum of its terms."""
        total = self.reward_terms[0]
        for term in self.reward_terms[1:]:
            total = total + term
        return total


class Environment(Protocol[State]):
    """N environments that step together. Everything but the draws of `reset` can be compiled."""

    @property
    def features(self) -> Tensor:
        """(B, F) float32: the part of an observation that accounts share; F may be 0."""
        ...

    @property
    def reward_terms(self) -> tuple[str, ...]:
        """Names of the parts of the reward."""
        ...

    @property
    def annealed_terms(self) -> tuple[str, ...]:
        """Those of them that fade as training goes on, and say nothing about how it goes."""
        ...

    @property
    def rules(self) -> tuple[str, ...]:
        """Names of the rules that an account may break."""
        ...

    @property
    def truncates_within_rollout(self) -> bool:
        """True if episodes can be truncated inside a rollout.

        The trainer then evaluates V(final observation) at every step.
        """
        ...

    @property
    def spans_rollouts(self) -> bool:
        """Do episodes outlast a rollout, so that a checkpoint must store where they are?"""
        ...

    @property
    def curriculum(self) -> Mapping[str, Tensor]:
        """What is ramped, () each, as it stands now; empty without a curriculum."""
        ...

    def at_progress(self, progress: float) -> Self:
        """The same environment as it is when this share of the training, 0..1, is done."""
        ...

    def reset(
        self, previous: State | None, num_envs: int, steps: int, generator: torch.Generator
    ) -> tuple[State, Tensor]:
        """The states with which a rollout of `steps` begins, and (N,) bool: a new episode?"""
        ...

    def reset_state(self, num_envs: int, steps_left: int, generator: torch.Generator) -> State:
        """States that those which end now restart from."""
        ...

    def step(self, state: State, category: Tensor, strength: Tensor) -> Step[State]:
        """Act: (N,) int64 categories, (N,) strengths in [0, 1]."""
        ...

    def auto_reset(self, ended: Tensor, state: State, fresh: State) -> State:
        """The states to go on with, after (N,) bool ended."""
        ...

    def observe(self, state: State) -> Observation:
        """What each account observes in a state."""
        ...


class MarketEnvironment(Environment[State], Protocol[State]):
    """An environment on a history of bars, in which a policy can be scored bar by bar."""

    def open_accounts(self, bar: Tensor, last_bar: Tensor) -> State:
        """New accounts at the closes of some bars (N,), cut off at the closes of others."""
        ...

    def equity(self, state: State) -> Tensor:
        """(N,) account currency, marked at the last close."""
        ...


def where_ended(ended: Tensor, state: State, fresh: State) -> State:
    """Account by account, the fresh state where (N,) one ended and else the old one."""
    pairs = zip(state, fresh, strict=True)
    return type(state)(*(_chosen(ended, old, new) for old, new in pairs))  # type: ignore[call-arg]


def _chosen(ended: Tensor, old: Any, new: Any) -> Any:
    if not isinstance(old, Tensor):
        return where_ended(ended, old, new)
    return torch.where(ended.view(-1, *[1] * (old.dim() - 1)), new, old)


def state_tensors(state: Any) -> list[Tensor]:
    """The tensors of a state, however deep, in order; None has none."""
    if state is None:
        return []
    if isinstance(state, Tensor):
        return [state]
    return [tensor for part in state for tensor in state_tensors(part)]


def with_tensors(state: Any, tensors: list[Tensor]) -> Any:
    """A state of the same form with other tensors, which are taken from the front of the list."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return tensors.pop(0).to(state.device)
    return type(state)(*(with_tensors(part, tensors) for part in state))


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
