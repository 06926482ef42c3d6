"""Walk a policy through a span of bars, one account, always the likeliest action.

A decision needs the account, and the account the decisions before it. Instead of stepping from bar
to bar, the decisions of a window are guessed, an account is walked through them by the backtest's
engine, and the policy decides anew at all bars whose account differs from the one that it saw. Bars
before the first that differs are settled, so the window moves on, at least by a bar a round and
mostly by thousands. The decisions are those of stepping: `step_through` steps in the environment of
training, and is what this is held against.

A recurrent policy remembers what it saw since its memory last began anew, which happens at fixed
moments (`memory_starts`), as often as in training. So it remembers the same bars when it is judged
and when it is served. Shapes: B bars, S bars of the span, H horizons, P account features, L steps
of a stretch, M stretches.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.learning.envs.core import MarketEnvironment
from rl_core.learning.models.actor_critic import ActorCritic, Heads
from rl_core.learning.models.hybrid_action import most_likely_action

Actions, Strengths = NDArray[np.int8], NDArray[np.float64]

FIRST_WIDTH, LEAST_WIDTH, MOST_WIDTH = 256, 16, 2**16  # bars of a window
STEP = 4  # by which it is widened or narrowed
PATIENCE = 24  # rounds at one width, unless the whole of it has settled
PACE = 1.5  # as many bars a round are more
MOST_ROWS = 2**16  # of the network at once
NEAR_TIE = 1e-4  # between the two likeliest actions' logits: smaller is decided as it is served

log = logging.getLogger(__name__)


class Walked(Protocol):
    """An account that was walked through some decisions."""

    @property
    def account_features(self) -> NDArray[np.float32]:
        """What a policy sees of it at each of them, (S, P)."""
        ...

    @property
    def at(self) -> Callable[[int], Any]:
        """The account at a row, to go on from."""
        ...


# first bar, decisions (S,), strengths (S,), and the account at the first; None for a new one
AccountRule = Callable[[int, Actions, Strengths, Any], Walked]


@dataclass(frozen=True)
class PolicyDecisions:
    """What a policy decided at each bar of a span."""

    action: Actions  # (S,)
    strength: Strengths  # (S,)
    predicted_returns: NDArray[np.float64]  # (S, H) fractions, before clipping
    memory: torch.Tensor | None  # (G, 1, D) of a recurrent policy after the last decision


@dataclass(frozen=True)
class Trading:
    """Where a policy trades: what it sees, and what its decisions do to an account."""

    environment: MarketEnvironment[Any]  # at full costs, on the model's device, float64 prices
    accounts: AccountRule  # of the backtest's engine
    starts: NDArray[np.bool_]  # (B,) bars at which a recurrent policy's memory begins anew


def memory_starts(ns: NDArray[np.int64], bar_ns: int, memory_bars: int | None) -> NDArray[np.bool_]:
    """Bars (B,) at which a recurrent policy's memory begins anew.

    The clock is absolute, so neither earlier nor later bars move it.

    Args:
        ns: (B,) moment of each bar.
        bar_ns: mean time from bar to bar.
        memory_bars: as long as a rollout of training; None for a policy without memory.
    """
    if memory_bars is None:
        return np.zeros(len(ns), dtype=bool)
    stretch = ns // (memory_bars * bar_ns)
    return np.concatenate([[True], stretch[1:] != stretch[:-1]])


def memory_before(
    model: ActorCritic, trading: Trading, bar: int, first_bar: int
) -> torch.Tensor | None:
    """What a recurrent policy remembers before it sees a bar: (G, 1, D), or None for nothing.

    It trades the bars since its memory began anew, on an account of its own that opens there.

    Args:
        model: the policy.
        trading: where it trades.
        bar: the one that is to be decided on.
        first_bar: the first with complete features.
    """
    if not model.is_recurrent or trading.starts[bar]:
        return None
    begun = np.flatnonzero(trading.starts[: bar + 1])
    first = max(first_bar, int(begun[-1]) if len(begun) else 0)
    if first >= bar:
        return None
    return decide(model, trading, (first, bar - 1)).memory


@torch.no_grad()
def decide(model: ActorCritic, trading: Trading, span: tuple[int, int]) -> PolicyDecisions:
    """Trade one account from the close of a span's first bar to that of its last.

    Args:
        model: the policy.
        trading: where it trades.
        span: first and last bar; the last decision no longer fills. A broken rule ends nothing: the
            account goes on as the rules of its kind say.

    Raises:
        TollgateError: a state or a decision is not finite.
    """
    model.eval()
    guess = Guess.of(model, trading, span)
    opened, window, rounds, rows, stuck = None, Window(), 0, len(guess.action), 0
    while (start := guess.settled) < rows:
        end = min(start + window.width, rows)
        ahead = slice(start, min(end + 1, rows))  # with the bar at which the next window opens
        account = trading.accounts(
            span[0] + start, guess.action[ahead], guess.strength[ahead], opened
        )
        settled = guess.decide_again(account.account_features[: end - start])
        stuck = stuck + 1 if settled == 0 else 0
        if stuck > 1:  # a bar is settled once it was decided on the account that it has
            raise TollgateError(
                f"a policy's decisions and account must be finite, were not from bar "
                f"{span[0] + start} on"
            )
        if start + settled < rows:
            opened = account.at(settled)
        window.adapt(settled)
        rounds += 1
    log.debug("decisions of %d bars settled in %d rounds", rows, rounds)
    return PolicyDecisions(guess.action, guess.strength, guess.returns, guess.memory)


@dataclass
class Window:
    """How many bars are guessed at once.

    Where decisions soon forget each other, a wide window settles in as many rounds as a narrow one.
    Where each depends on those before, what lies far ahead is guessed in vain. So a window is
    widened while that settles more bars a round, and narrowed while it settles hardly fewer.
    """

    width: int = FIRST_WIDTH
    is_widening: bool = False
    pace: float = 0.0  # bars that a round settled at the width before
    rounds: int = 0  # at this width
    settled: int = 0  # bars in them

    def adapt(self, settled: int) -> None:
        """Choose the width of the next round, given what was settled in the last one."""
        self.rounds, self.settled = self.rounds + 1, self.settled + settled
        if self.rounds < PATIENCE and self.settled < self.width:
            return
        pace = self.settled / self.rounds
        least = self.pace * PACE if self.is_widening else self.pace / PACE
        if pace < least and self.width < MOST_WIDTH:
            self.is_widening = not self.is_widening
        wanted = self.width * STEP if self.is_widening else self.width // STEP
        self.width = min(max(wanted, LEAST_WIDTH), MOST_WIDTH)
        self.pace, self.rounds, self.settled = pace, 0, 0


@dataclass
class Guess:
    """Decisions of a span as they stand, with the account features that they were made on."""

    model: ActorCritic
    features: torch.Tensor  # (S, F)
    forgets: NDArray[np.bool_]  # (S,) bars at which a recurrent policy's memory begins anew
    action: Actions  # (S,)
    strength: Strengths  # (S,)
    returns: NDArray[np.float64]  # (S, H)
    account: torch.Tensor  # (S, P) that each was made on; NaN where none was made yet
    settled: int = 0  # bars, from the first on
    memory: torch.Tensor | None = None  # (G, 1, D) after them

    @classmethod
    def of(cls, model: ActorCritic, trading: Trading, span: tuple[int, int]) -> "Guess":
        """To begin with: HOLD at every bar."""
        bars = slice(span[0], span[1] + 1)
        features = trading.environment.features[bars]
        size = len(model.standardiser.mean) - features.shape[1]
        return cls(
            model=model,
            features=features,
            forgets=trading.starts[bars],
            action=np.zeros(len(features), dtype=np.int8),
            strength=np.zeros(len(features)),
            returns=np.zeros((len(features), len(model.return_scale))),
            account=features.new_full((len(features), size), torch.nan),
        )

    def decide_again(self, account: NDArray[np.float32]) -> int:
        """Decide anew where the account (W, P) after what is settled is another than that seen.

        Returns:
            How many bars more are settled.
        """
        window = slice(self.settled, self.settled + len(account))
        seen = torch.from_numpy(account).to(self.features.device)
        differs = (seen != self.account[window]).any(dim=1).cpu().numpy()  # NaN does from anything
        settled = int(differs.argmax()) if differs.any() else len(differs)
        if settled < len(differs):
            self.account[window] = seen
            begins, ends = self._stretches(differs)
            most = max(MOST_ROWS // int((ends - begins).max()), 1)
            for at in range(0, len(begins), most):
                self._decide(begins[at : at + most], ends[at : at + most])
        if self.model.is_recurrent and settled:
            self._remember(settled)
        self.settled += settled
        return settled

    def _stretches(self, differs: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """First row, and row after the last, of what is decided together: a bar, or a memory."""
        if not self.model.is_recurrent:
            begins = self.settled + np.flatnonzero(differs)
            return begins, begins + 1
        forgets = self.forgets[self.settled : self.settled + len(differs)].copy()
        forgets[0] = True  # with what is remembered of the bars that are settled
        begins = np.flatnonzero(forgets)
        ends = np.append(begins[1:], len(differs))
        has_changed = np.add.reduceat(differs, begins, dtype=np.int64) > 0
        return self.settled + begins[has_changed], self.settled + ends[has_changed]

    def _remember(self, rows: int) -> None:
        """Move a recurrent policy's memory on by some rows."""
        forgets = np.flatnonzero(self.forgets[self.settled : self.settled + rows])
        begin = self.settled + (int(forgets[-1]) if len(forgets) else 0)
        passed = np.arange(begin, self.settled + rows)[:, None]
        self.memory = self._heads(passed, self._memory_at(np.array([begin]))).memory

    def _memory_at(self, begins: NDArray[np.int64]) -> torch.Tensor | None:
        """What is remembered before each of some stretches, (G, M, D); None for nothing."""
        if self.memory is None or begins[0] != self.settled or self.forgets[begins[0]]:
            return None
        others = self.memory.new_zeros(len(self.memory), len(begins) - 1, self.memory.shape[2])
        return torch.cat([self.memory, others], dim=1)

    def _heads(self, rows: NDArray[np.int64], memory: torch.Tensor | None) -> Heads:
        """What the network says of some stretches, (L, M) rows, given what it remembers before."""
        index = torch.from_numpy(rows).to(self.features.device)
        seen = torch.cat([self.features[index], self.account[index]], dim=-1)
        return self.model.heads(*self.model.encoder(self.model.standardiser(seen), memory))

    def _decide(self, begins: NDArray[np.int64], ends: NDArray[np.int64]) -> None:
        """Decide in some stretches, (M,) each."""
        step = np.arange((ends - begins).max())[:, None]
        is_row = begins + step < ends
        rows = np.minimum(begins + step, ends - 1)  # shorter ones repeat their last row
        heads = self._heads(rows, self._memory_at(begins))
        self._take(rows, is_row, heads)
        if self.model.num_actions > 1:
            best = heads.logits.topk(2, dim=-1).values
            is_near = ((best[..., 0] - best[..., 1]) < NEAR_TIE).cpu().numpy() & is_row
            for stretch in np.flatnonzero(is_near.any(axis=0)):
                self._decide_as_served(int(begins[stretch]), int(ends[stretch]))

    def _decide_as_served(self, begin: int, end: int) -> None:
        """Decide one bar at a time: a batch adds in another order, and may settle a tie otherwise.

        A recurrent policy steps from where its memory last began anew.
        """
        first, memory = begin, None
        if self.model.is_recurrent:
            begun = np.flatnonzero(self.forgets[: begin + 1])
            first = int(begun[-1]) if len(begun) else 0
        for row in range(first, end):
            heads = self.model(torch.cat([self.features[row], self.account[row]])[None], memory)
            memory = heads.memory
            self._take(np.array([row]), np.array([row >= begin]), heads)

    def _take(self, rows: NDArray[np.int64], is_row: NDArray[np.bool_], heads: Heads) -> None:
        """Write down what was decided at some rows, of any shape."""
        decided = most_likely_action(heads)
        returns = self.model.forecasts(heads.returns)
        where = rows[is_row]
        self.action[where] = decided.category.cpu().numpy()[is_row]
        self.strength[where] = decided.strength.double().cpu().numpy()[is_row]
        self.returns[where] = returns.double().cpu().numpy()[is_row]


@torch.no_grad()
def step_through(
    model: ActorCritic, trading: Trading, span: tuple[int, int]
) -> tuple[PolicyDecisions, NDArray[np.float64]]:
    """The same bar by bar, in the environment; also its account's equity at each close, (S,)."""
    model.eval()
    environment = trading.environment
    device = environment.features.device
    state = environment.open_accounts(*(torch.tensor([bar], device=device) for bar in span))
    forgets, memory = torch.from_numpy(trading.starts).to(device), None
    rows: list[tuple[torch.Tensor, ...]] = []
    for bar in range(span[0], span[1] + 1):
        seen = environment.observe(state)
        observation = torch.cat([environment.features[seen.bar], seen.account_features], dim=-1)
        if memory is not None:
            memory = torch.where(forgets[seen.bar][None, :, None], torch.zeros_like(memory), memory)
        heads = model(observation, memory)
        memory = heads.memory
        action = most_likely_action(heads)
        strength, returns = action.strength.double(), model.forecasts(heads.returns)
        rows.append((action.category, strength, returns, environment.equity(state)))
        if bar < span[1]:
            state = environment.step(state, action.category, strength).state
    action, strength, returns, equity = (
        torch.cat(column).cpu().numpy() for column in zip(*rows, strict=True)
    )
    decisions = PolicyDecisions(
        action.astype(np.int8), strength, returns.astype(np.float64), memory
    )
    return decisions, equity
