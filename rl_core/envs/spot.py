"""Spot environment: N accounts trading one asset through the fills that the backtest uses.

`step` is a pure function: decide at the close of bar t, fill at the open of t + 1, mark at its
close. Shapes: N accounts, B bars, F market features.
"""

from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import torch
from torch import Tensor

from rl_core.backtest.engine import AccountConfig
from rl_core.backtest.preparation import PreparedMarket
from rl_core.envs.config import SpotEnvConfig
from rl_core.envs.core import Ledger, Observation, Step
from rl_core.errors import TollgateError
from rl_core.trading.accounts import (
    HOLD,
    NEVER_TRADED_DAYS,
    account_features,
    target_position,
    trade_and_mark,
)
from rl_core.trading.costs import CostRates


@dataclass(frozen=True, slots=True)
class SpotMarket:
    """Price history shared by every account."""

    open: Tensor  # (B,)
    close: Tensor  # (B,)
    impact_scale: Tensor  # (B,)
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
            days=put(market.days),
            features=torch.tensor(market.features, device=device),
        )


@dataclass(frozen=True, slots=True)
class SpotParams:
    """What the market does not say: costs, limits, reward."""

    rates: CostRates
    account: AccountConfig
    rules: SpotEnvConfig


@dataclass(frozen=True, slots=True)
class SpotState:
    """N accounts at the close of a bar."""

    bar: Tensor  # (N,) int64, index of the last closed bar
    last_bar: Tensor  # (N,) int64, bar at which the episode is cut off
    cash: Tensor  # (N,) quote currency
    units: Tensor  # (N,) units held, negative when short
    equity: Tensor  # (N,) quote currency, marked at the last close
    peak_equity: Tensor  # (N,) quote currency
    last_trade_day: Tensor  # (N,) days since the first bar, hugely negative before any trade


def open_accounts(
    params: SpotParams, market: SpotMarket, bar: Tensor, last_bar: Tensor
) -> SpotState:
    """Fresh accounts with cash only, at the closes of the given bars (N,)."""
    cash = torch.full(
        bar.shape, params.account.initial_cash, dtype=market.close.dtype, device=bar.device
    )
    never = torch.full_like(cash, -NEVER_TRADED_DAYS)
    return SpotState(bar, last_bar, cash, torch.zeros_like(cash), cash, cash, never)


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
    )  # fmt: skip
    traded = mark.fill.traded_units != 0
    peak_equity = torch.maximum(state.peak_equity, mark.equity)
    terminated = mark.equity <= peak_equity * (1 - params.rules.max_drawdown)
    truncated = (bar >= state.last_bar) & ~terminated
    # a lost account has equity <= 0 and no logarithm; a loss of 99.9% stands for it
    growth = (mark.equity / state.equity).clamp(min=1e-3)
    after = SpotState(
        bar=bar,
        last_bar=state.last_bar,
        cash=mark.cash,
        units=mark.units,
        equity=mark.equity,
        peak_equity=peak_equity,
        last_trade_day=torch.where(traded, market.days[bar], state.last_trade_day),
    )
    reward = params.rules.reward_scale * growth.log()
    ledger = Ledger(
        pnl=mark.equity - state.equity,
        side=torch.sign(mark.units),
        drawdown=1 - mark.equity / peak_equity,
    )
    return Step(after, reward, terminated, truncated, ledger)


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
class SpotWindows:
    """The environment that trains: windows from random starts, each as long as a rollout.

    An account that breaks a rule starts again at a random bar. Windows end with the rollout, so
    that the bootstrap needs one extra forward pass only.
    """

    market: SpotMarket
    params: SpotParams
    starts: Tensor  # (S,) int64 bars from which a whole window lies inside the training span

    @property
    def features(self) -> Tensor:
        """(B, F) market features."""
        return self.market.features

    @property
    def truncates_midway(self) -> bool:
        """Windows are as long as rollouts."""
        return False

    def begin(
        self, previous: SpotState | None, num_envs: int, steps: int, generator: torch.Generator
    ) -> tuple[SpotState, Tensor]:
        """New windows for all."""
        state = self.fresh(num_envs, steps, generator)
        return state, torch.ones_like(state.bar, dtype=torch.bool)

    def fresh(self, num_envs: int, steps_left: int, generator: torch.Generator) -> SpotState:
        """Accounts with nothing but cash at random starts, cut off `steps_left` bars later."""
        pick = torch.randint(
            len(self.starts), (num_envs,), generator=generator, device=self.starts.device
        )
        bar = self.starts[pick]
        return open_accounts(self.params, self.market, bar, bar + steps_left)

    def step(self, state: SpotState, category: Tensor, strength: Tensor) -> Step[SpotState]:
        """Trade at the next open."""
        return step(self.market, self.params, state, category, strength)

    def restart(self, ended: Tensor, state: SpotState, fresh: SpotState) -> SpotState:
        """Account by account, the fresh state or the old one."""
        return SpotState(
            **{
                field.name: torch.where(
                    ended, getattr(fresh, field.name), getattr(state, field.name)
                )
                for field in fields(SpotState)
            }
        )

    def observe(self, state: SpotState) -> Observation:
        """The bar, and the four account features."""
        return Observation(state.bar, account_state(self.market, state))


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
