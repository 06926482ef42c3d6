"""Portfolio environment: N accounts that switch between regimes of one universe.

`step` is a pure function: decide at the close of session t, and at the close of t + 1 mark what is
held, then trade into the regime's weights as they were known at t. The fills are those of the
backtest. Shapes: N accounts, T sessions, S stocks, P portfolios, F factors, A regimes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from rl_core.kinds.portfolio.allocations import portfolio_places
from rl_core.kinds.portfolio.market import PanelMarket
from rl_core.kinds.portfolio.settings import Allocation
from rl_core.learning.envs.core import Observation, Step, StepAccounting
from rl_core.learning.envs.windows import Windows, log_growth
from rl_core.learning.settings import WindowConfig
from rl_core.trading.rebalancing import (
    NEVER_ORDERED,
    Recent,
    is_trade,
    portfolio_features,
    rebalance,
    remember,
)
from rl_core.trading.terms import RebalanceRates


@dataclass(frozen=True, slots=True)
class PortfolioMarket:
    """A universe's history, shared by every account."""

    price: Tensor  # (T, S) the last known
    can_trade: Tensor  # (T, S) 1.0 where there is a price of that session
    leaves: Tensor  # (T, S) 1.0 where holders are paid out
    impact_scale: Tensor  # (T, S)
    slippage: Tensor  # (T, S) drawn
    weights: Tensor  # (T, P, S) of the portfolios, equal weight first
    exposures: Tensor  # (T, F, S)
    features: Tensor  # (T, 50) float32, each row known at that session's close

    @classmethod
    def from_prepared(
        cls, market: PanelMarket, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> Self:
        """Put a prepared universe on a device."""

        def put(table: np.ndarray) -> Tensor:
            return torch.tensor(table, dtype=dtype, device=device)

        return cls(
            price=put(market.listed.price),
            can_trade=put(market.listed.trades),
            leaves=put(market.listed.leaves),
            impact_scale=put(market.stock_impact_scale),
            slippage=put(market.slippage),
            weights=put(market.portfolios),
            exposures=put(market.exposures),
            features=torch.tensor(market.features, device=device),
        )


@dataclass(frozen=True, slots=True)
class PortfolioParams:
    """What the market does not say: the menu, costs, limits, reward."""

    portfolio: Tensor  # (A,) int64 of each regime
    invested: Tensor  # (A,) share of equity
    is_order: Tensor  # (A,) 1.0 for every regime but HOLD
    rates: RebalanceRates
    initial_cash: float
    rules: WindowConfig

    @classmethod
    def of(
        cls,
        menu: Sequence[Allocation],
        portfolios: Sequence[str],
        rates: RebalanceRates,
        initial_cash: float,
        rules: WindowConfig,
        like: Tensor,
    ) -> Self:
        """For a menu of regimes, on the device and in the precision of a tensor."""

        def put(column: Sequence[float]) -> Tensor:
            return torch.tensor(column, dtype=like.dtype, device=like.device)

        places = portfolio_places(menu, portfolios)
        return cls(
            portfolio=torch.tensor(places, device=like.device),
            invested=put([regime.invested for regime in menu]),
            is_order=put([float(regime.is_order) for regime in menu]),
            rates=rates,
            initial_cash=initial_cash,
            rules=rules,
        )


class PortfolioState(NamedTuple):
    """N accounts at the close of a session, after its trades."""

    bar: Tensor  # (N,) int64, index of the last session
    last_bar: Tensor  # (N,) int64, session at which the episode is cut off
    draw: Tensor  # (N,) int64, sessions by which its slippage is drawn elsewhere; 0 as it was
    cash: Tensor  # (N,) account currency
    units: Tensor  # (N, S) held, never negative
    equity: Tensor  # (N,) account currency
    peak_equity: Tensor  # (N,) account currency
    recent: Recent  # of (N,) each
    open_pnl: Tensor  # (N,) earned since the last order that traded


def open_accounts(
    params: PortfolioParams, market: PortfolioMarket, bar: Tensor, last_bar: Tensor
) -> PortfolioState:
    """Fresh accounts with cash only, at the closes of the given sessions (N,)."""
    price = market.price
    cash = torch.full(bar.shape, params.initial_cash, dtype=price.dtype, device=price.device)
    nothing = torch.zeros_like(cash)
    return PortfolioState(
        bar=bar,
        last_bar=last_bar,
        draw=torch.zeros_like(bar),
        cash=cash,
        units=torch.zeros(*bar.shape, price.shape[1], dtype=price.dtype, device=price.device),
        equity=cash,
        peak_equity=cash,
        recent=Recent(
            nothing, nothing, nothing, nothing, nothing, torch.full_like(cash, NEVER_ORDERED)
        ),
        open_pnl=nothing,
    )


def step(
    market: PortfolioMarket, params: PortfolioParams, state: PortfolioState, category: Tensor
) -> Step[PortfolioState]:
    """Mark at the next close, pay out those that left, then trade into the regime.

    Args:
        market: prices, weights and features.
        params: menu, costs and rules.
        state: accounts, each with a session after its current one.
        category: (N,) index into the menu, chosen after seeing the close of `state.bar`.

    Reward is the scaled log growth of equity, costs included.
    """
    known, bar = state.bar, state.bar + 1
    price, can_trade = rows(market.price, bar), rows(market.can_trade, bar)
    value = state.units * price
    left = value * rows(market.leaves, bar)
    value = value - left
    cash = state.cash + left.sum(-1)
    before = cash + value.sum(-1)
    place = known * market.weights.shape[1] + params.portfolio[category]
    weight = rows(market.weights.flatten(0, 1), place) * params.invested[category][:, None]
    filled = rebalance(
        value,
        cash,
        weight,
        can_trade,
        params.is_order[category],
        rows(market.slippage, (bar + state.draw) % len(market.slippage)),
        rows(market.impact_scale, known),
        params.rates,
    )
    equity = before - filled.cost

    growth = log_growth(equity, state.equity)
    has_traded = is_trade(filled.traded_value, before)
    peak_equity = torch.maximum(state.peak_equity, equity)
    drawdown = 1 - equity / peak_equity
    terminated = drawdown >= params.rules.max_drawdown
    truncated = (bar >= state.last_bar) & ~terminated
    pnl = equity - state.equity
    is_last = terminated | truncated
    closed, earned, open_pnl = trade_results(
        state, filled.value.sum(-1) > 0, pnl, filled.cost, has_traded, is_last
    )
    after = PortfolioState(
        bar=bar,
        last_bar=state.last_bar,
        draw=state.draw,
        cash=filled.cash,
        units=filled.value / price,
        equity=equity,
        peak_equity=peak_equity,
        recent=remember(state.recent, growth, filled.cost / before, has_traded),
        open_pnl=open_pnl,
    )
    reward = params.rules.reward_scale * growth
    ledger = StepAccounting(pnl, closed, earned, drawdown)
    return Step(after, (reward,), (terminated,), terminated, truncated, ledger)


def trade_results(
    state: PortfolioState,
    is_invested: Tensor,
    pnl: Tensor,
    cost: Tensor,
    has_traded: Tensor,
    is_last: Tensor,
) -> tuple[Tensor, Tensor, Tensor]:
    """Did a trade end in this step, what did it earn, and what has the open one earned?

    A trade is the time between two orders that traded, while invested. What a fill costs belongs to
    the trade that it opens, and to the one that it ends where nothing is held afterwards; what is
    open at the last step ends with it.
    """
    was_invested = state.units.sum(-1) > 0
    opens = has_traded & is_invested & ~is_last
    paid_later = torch.where(opens, cost, 0.0)
    earned = state.open_pnl + pnl + paid_later
    closed = (has_traded & was_invested) | (is_last & (was_invested | is_invested))
    return closed, earned, torch.where(has_traded, -paid_later, earned)


def rows(table: Tensor, place: Tensor) -> Tensor:
    """Some rows of a table, (N, ...); three times faster than indexing with brackets."""
    return table.index_select(0, place)


def account_state(market: PortfolioMarket, state: PortfolioState) -> Tensor:
    """The 14 account features, (N, 14) float32."""
    num_portfolios, num_factors = market.weights.shape[1], market.exposures.shape[1]
    weights = state.units * rows(market.price, state.bar) / state.equity[:, None]
    columns = portfolio_features(
        weights,
        rows(market.weights.flatten(0, 1), state.bar * num_portfolios),
        rows(market.exposures.flatten(1), state.bar).unflatten(1, (num_factors, -1)),
        state.recent,
        1 - state.equity / state.peak_equity,
        torch.tanh,
    )
    return torch.stack(columns, dim=-1).to(torch.float32)


@dataclass(frozen=True, slots=True)
class PortfolioWindows(Windows[PortfolioState]):
    """The environment that trains: windows from random starts, holding a random regime."""

    market: PortfolioMarket
    params: PortfolioParams

    @property
    @override
    def features(self) -> Tensor:
        """(T, 50) float32 market features, which all accounts share."""
        return self.market.features

    @override
    def open_accounts(self, bar: Tensor, last_bar: Tensor) -> PortfolioState:
        return open_accounts(self.params, self.market, bar, last_bar)

    @override
    def open_training_accounts(
        self, bar: Tensor, last_bar: Tensor, generator: torch.Generator
    ) -> PortfolioState:
        """Accounts that hold a random regime, and draw slippage of their own.

        An account that always began with cash would learn what it costs to enter, and little else.
        """
        fresh = self.open_accounts(bar, last_bar)
        regime = self.draw(len(self.params.invested), len(bar), generator)
        weight = self.market.weights[bar, self.params.portfolio[regime]]
        held = weight * self.params.invested[regime][:, None] * fresh.equity[:, None]
        return fresh._replace(
            draw=self.draw(len(self.market.slippage), len(bar), generator),
            cash=fresh.equity - held.sum(-1),
            units=held / self.market.price[bar],
        )

    @override
    def equity(self, state: PortfolioState) -> Tensor:
        """(N,) account currency, marked at the last close."""
        return state.equity

    @override
    def step(
        self, state: PortfolioState, category: Tensor, strength: Tensor
    ) -> Step[PortfolioState]:
        """Trade at the next close; a regime has no strength."""
        return step(self.market, self.params, state, category)

    @override
    def observe(self, state: PortfolioState) -> Observation:
        return Observation(state.bar, account_state(self.market, state))
