"""What the chain asks of a kind of desk. Shapes: B bars, S bars of a span, P account features."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.features.indicators import Indicators
from rl_core.features.prepare import PreparedMarket
from rl_core.features.regimes import RegimeThresholds, fit_regime_thresholds
from rl_core.features.state import StateTable
from rl_core.kinds.settings import DeskConfig
from rl_core.market.settings import Split
from rl_core.market.splits import split_bars
from rl_core.teacher.vote import Vote
from rl_core.trading.performance import Performance

if TYPE_CHECKING:
    import torch

    from rl_core.learning.envs.core import Environment, MarketEnvironment
    from rl_core.learning.policy_walk import Trading


def no_account(row: int) -> Any:
    """For a walk that nobody goes on from."""
    raise TypeError(f"a benchmark must be walked as a whole, was asked for its account at {row}")


@dataclass(frozen=True)
class AccountWalk:
    """One account's way through a span of bars; row t belongs to the decision at its close."""

    records: dict[str, NDArray[Any]]  # (S,) each
    equity: NDArray[np.float64]  # (S,) account currency
    summarise: Callable[[], Performance]
    features: tuple[NDArray[np.float64], ...] = ()  # (S,) each: the account as a policy sees it
    at: Callable[[int], Any] = no_account  # the account at a row, to go on from

    @property
    def account_features(self) -> NDArray[np.float32]:
        """The account as a policy sees it, (S, P)."""
        return np.column_stack(self.features).astype(np.float32)

    @cached_property
    def performance(self) -> Performance:
        """How the account did, as figures; computed when they are asked for."""
        return self.summarise()


def threshold_rule(
    desk: DeskConfig, clock_ns: NDArray[np.int64], thresholds: RegimeThresholds | None
) -> Callable[[Indicators], RegimeThresholds]:
    """The thresholds that are given, or a fit on the training part of a market's clock (B,)."""

    def known(indicators: Indicators) -> RegimeThresholds:
        if thresholds is not None:
            return thresholds
        train = split_bars(clock_ns, desk.splits) == Split.TRAIN
        return fit_regime_thresholds(indicators, train, desk.regimes)

    return known


class DeskKind(Protocol):
    """What the chain asks of one kind of desk."""

    def prepare(
        self,
        bars: pd.DataFrame,
        sentiment: pd.DataFrame | None,
        thresholds: RegimeThresholds | None,
    ) -> PreparedMarket:
        """All that is known per bar; without thresholds they are fitted on the training span."""
        ...

    def prices_sql(self, bars: pd.DataFrame) -> str:
        """SQL that finds the prices behind the targets in the sealed bars."""
        ...

    @property
    def actions(self) -> tuple[str, ...]:
        """What a decision chooses from; the first one, HOLD, is no order."""
        ...

    @property
    def price_name(self) -> str:
        """What the bars' close is called in an answer."""
        ...

    @property
    def has_strength(self) -> bool:
        """Does an order say how much?"""
        ...

    @property
    def spans_rollouts(self) -> bool:
        """May an episode of training go on beyond a rollout?"""
        ...

    @property
    def largest_impact(self) -> float | None:
        """Cap of the impact law, fraction of price; None where fills have no impact."""
        return None

    @property
    def mean_bar_ns(self) -> int:
        """Mean time from bar to bar while the market is open, nanoseconds."""
        ...

    @property
    def state(self) -> StateTable:
        """Names, ranges and order of the features that a policy sees."""
        ...

    @property
    def decision_columns(self) -> tuple[str, ...]:
        """Columns of a walk's records that belong to a decision: they go into the dataset."""
        ...

    def vote(self, market: PreparedMarket) -> Vote:
        """What the ensemble decides at every bar."""
        ...

    def walk(
        self,
        market: PreparedMarket,
        first_bar: int,
        action: NDArray[np.int8],
        strength: NDArray[np.float64],
        opened: Any = None,
    ) -> AccountWalk:
        """Trade decisions (S,) through the backtest's engine.

        Args:
            market: all bars.
            first_bar: of the first decision.
            action: (S,) index of `actions`.
            strength: (S,) in [0, 1].
            opened: the account at the first decision, as `AccountWalk.at` gives it; a new one if
                left out.
        """
        ...

    def benchmarks(
        self, market: PreparedMarket, first_bar: int, num_bars: int
    ) -> dict[str, AccountWalk]:
        """What a policy stands beside, `buy_and_hold` first, all costs paid."""
        ...

    def book_errors(self, history: pd.DataFrame) -> NDArray[np.float64]:
        """How far each row's equity is from what the account holds, (S,), relative."""
        ...

    def environment(
        self, market: PreparedMarket, device: torch.device, dtype: torch.dtype
    ) -> MarketEnvironment[Any]:
        """Where a policy is scored: full costs, whatever training began with."""
        ...

    def trading(
        self, market: PreparedMarket, device: torch.device, memory_bars: int | None
    ) -> Trading:
        """Where a policy is scored and served: its environment, and the backtest's account.

        Args:
            market: all bars.
            device: of the policy.
            memory_bars: a recurrent policy forgets so often; None for one without memory.
        """
        import torch

        from rl_core.learning.policy_walk import Trading, memory_starts

        return Trading(
            environment=self.environment(market, device, torch.float64),
            accounts=partial(self.walk, market),
            starts=memory_starts(market.ns, self.mean_bar_ns, memory_bars),
        )

    def training_environment(
        self,
        market: PreparedMarket,
        kept_bars: NDArray[np.int64],
        rollout_steps: int,
        device: torch.device,
    ) -> Environment[Any]:
        """Where a policy is trained: windows or episodes that start at the kept bars."""
        ...

    def memory_dimensions(self, stocks: int) -> dict[str, int]:
        """Extra dimensions for memory sizing: {stocks, portfolios}; empty for one instrument."""
        ...

    def account_state(
        self, market: PreparedMarket, account: Mapping[str, float]
    ) -> NDArray[np.float32]:
        """Account features (P,) of one who asks at the last bar.

        Raises:
            TollgateError: an account that cannot be, or a figure that this kind does not know.
        """
        ...

    def decision_details(
        self, market: PreparedMarket, account: Mapping[str, float], action: str, strength: float
    ) -> dict[str, Any]:
        """What a decision at the last bar means beyond its action and strength."""
        ...
