"""Spot environment: N accounts trading one asset through the fills that the backtest uses.

`step` is a pure function: decide at the close of bar t, fill at the open of t + 1, mark at its
close. Shapes: N accounts, B bars, F market features.
"""

from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from rl_core.features.prepare import PreparedMarket
from rl_core.kinds.spot.settings import AccountConfig
from rl_core.learning.envs.core import Observation, Step, StepAccounting
from rl_core.learning.envs.windows import Windows, log_growth
from rl_core.learning.settings import WindowConfig
from rl_core.market.bars import half_spread
from rl_core.trading.accounts import (
    HOLD,
    NEVER_TRADED_DAYS,
    account_features,
    target_position,
    trade_and_mark,
)
from rl_core.trading.terms import CostRates


@dataclass(frozen=True, slots=True)
class SpotMarket:
    """Price history shared by every account."""

    open: Tensor  # (B,)
    close: Tensor  # (B,)
    impact_scale: Tensor  # (B,)
    half_spread: Tensor  # (B,) quoted at the open
    days: Tensor  # (B,) since the first bar
    features: Tensor  # (B, F) float32, each row known at that bar's close

    @classmethod
    def from_prepared(
        cls, market: PreparedMarket, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> Self:
        """Put a prepared market on a device."""

        def put(column: np.ndarray) -> Tensor:
            return torch.tensor(np.asarray(column), dtype=dtype, device=device)

        return cls(
            open=put(market.bars["open"].to_numpy()),
            close=put(market.bars["close"].to_numpy()),
            impact_scale=put(market.impact_scale),
            half_spread=put(half_spread(market.bars)),
            days=put(market.days),
            features=torch.tensor(market.features, device=device),
        )


@dataclass(frozen=True, slots=True)
class SpotParams:
    """What the market does not say: costs, limits, reward."""

    rates: CostRates
    account: AccountConfig
    rules: WindowConfig


class SpotState(NamedTuple):
    """N accounts at the close of a bar."""

    bar: Tensor  # (N,) int64, index of the last closed bar
    last_bar: Tensor  # (N,) int64, bar at which the episode is cut off
    cash: Tensor  # (N,) quote currency
    units: Tensor  # (N,) units held, negative when short
    equity: Tensor  # (N,) quote currency, marked at the last close
    peak_equity: Tensor  # (N,) quote currency
    last_trade_day: Tensor  # (N,) days since the first bar, hugely negative before any trade
    trade_pnl: Tensor  # (N,) what the open trade has earned so far


def open_accounts(
    params: SpotParams, market: SpotMarket, bar: Tensor, last_bar: Tensor
) -> SpotState:
    """Fresh accounts with cash only, at the closes of the given bars (N,)."""
    cash = torch.full(
        bar.shape, params.account.initial_cash, dtype=market.close.dtype, device=bar.device
    )
    never = torch.full_like(cash, -NEVER_TRADED_DAYS)
    nothing = torch.zeros_like(cash)
    return SpotState(bar, last_bar, cash, nothing, cash, cash, never, nothing)


def step(
    market: SpotMarket, params: SpotParams, state: SpotState, category: Tensor, strength: Tensor
) -> Step[SpotState]:
    """Trade at the next open, then mark the account at the next close.

    Args:
        market: prices and features.
        params: costs and rules.
        state: accounts, each with a bar after its current one.
        category: (N,) HOLD, BUY or SELL, chosen after seeing the close of `state.bar`.
        strength: (N,) in [0, 1].

    Reward is the scaled log growth of equity.
    """
    bar = state.bar + 1
    account = params.account
    target = target_position(category, strength, account.min_position, account.max_position)
    mark = trade_and_mark(
        state.cash, state.units, category != HOLD, target,
        market.open[bar], market.close[bar], market.impact_scale[state.bar], params.rates,
        market.half_spread[bar],
    )  # fmt: skip
    traded = mark.fill.traded_units != 0
    peak_equity = torch.maximum(state.peak_equity, mark.equity)
    terminated = mark.equity <= peak_equity * (1 - params.rules.max_drawdown)
    truncated = (bar >= state.last_bar) & ~terminated
    pnl = mark.equity - state.equity
    closed, trade_pnl, open_pnl = trade_results(
        state, mark.units, pnl, is_last=terminated | truncated
    )
    after = SpotState(
        bar=bar,
        last_bar=state.last_bar,
        cash=mark.cash,
        units=mark.units,
        equity=mark.equity,
        peak_equity=peak_equity,
        last_trade_day=torch.where(traded, market.days[bar], state.last_trade_day),
        trade_pnl=open_pnl,
    )
    reward = params.rules.reward_scale * log_growth(mark.equity, state.equity)
    ledger = StepAccounting(pnl, closed, trade_pnl, drawdown=1 - mark.equity / peak_equity)
    return Step(after, (reward,), (terminated,), terminated, truncated, ledger)


def trade_results(
    state: SpotState, units: Tensor, pnl: Tensor, *, is_last: Tensor
) -> tuple[Tensor, Tensor, Tensor]:
    """Did a trade close in this step, what did it earn, and what has the open one earned?

    A trade is a stretch on one side of the market; the step that closes it belongs to it, and one
    that turns from long to short to the new one. What is open at the last step closes at its mark,
    together with one that turns there.
    """
    before, after = torch.sign(state.units), torch.sign(units)
    turns = before * after < 0
    leaves = (before != 0) & (after == 0)
    running = torch.where((before != 0) | (after != 0), state.trade_pnl + pnl, 0.0)
    closed = turns | leaves | (is_last & (after != 0))
    earned = torch.where(turns & ~is_last, state.trade_pnl, running)
    open_pnl = torch.where(turns, pnl, torch.where(leaves, 0.0, running))
    return closed, earned, open_pnl


def observe(market: SpotMarket, state: SpotState) -> Tensor:
    """The 34-feature state of each account, (N, 34) float32."""
    return torch.cat([market.features[state.bar], account_state(market, state)], dim=-1)


def account_state(market: SpotMarket, state: SpotState) -> Tensor:
    """The four account features, (N, 4) float32."""
    columns = account_features(
        state.cash,
        state.units,
        market.close[state.bar],
        market.days[state.bar] - state.last_trade_day,
        torch.tanh,
    )
    return torch.stack(columns, dim=-1).to(torch.float32)


@dataclass(frozen=True, slots=True)
class SpotWindows(Windows[SpotState]):
    """The environment that trains: windows from random starts."""

    market: SpotMarket
    params: SpotParams

    @property
    @override
    def features(self) -> Tensor:
        """(B, F) float32 market features, which all accounts share."""
        return self.market.features

    @override
    def open_accounts(self, bar: Tensor, last_bar: Tensor) -> SpotState:
        return open_accounts(self.params, self.market, bar, last_bar)

    @override
    def equity(self, state: SpotState) -> Tensor:
        """(N,) quote currency, marked at the last close."""
        return state.equity

    @override
    def step(self, state: SpotState, category: Tensor, strength: Tensor) -> Step[SpotState]:
        return step(self.market, self.params, state, category, strength)

    @override
    def observe(self, state: SpotState) -> Observation:
        return Observation(state.bar, account_state(self.market, state))
