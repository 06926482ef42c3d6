"""Portfolio desks: many stocks and cash, and a choice between regimes of all of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from typing_extensions import override

from rl_core.features.prepare import PreparedMarket
from rl_core.features.regimes import RegimeThresholds
from rl_core.features.state import StateTable
from rl_core.kinds.base import AccountWalk, DeskKind, threshold_rule
from rl_core.kinds.portfolio.account import account_now
from rl_core.kinds.portfolio.engine import (
    PortfolioAccount,
    PortfolioWalk,
    new_account,
    walk_portfolio,
)
from rl_core.kinds.portfolio.market import PanelMarket, PanelPreparation, prepare_panel
from rl_core.kinds.portfolio.quotes import order_details
from rl_core.kinds.portfolio.settings import (
    FACTOR_PLACES,
    FACTOR_REGIMES,
    Allocation,
    PortfolioDesk,
)
from rl_core.kinds.portfolio.state import PORTFOLIO_STATE
from rl_core.kinds.portfolio.teacher import UniverseView, allocator_vote
from rl_core.offline.prices import panel_prices
from rl_core.teacher.vote import Vote
from rl_core.trading.performance import Performance, summarise
from rl_core.trading.rebalancing import portfolio_features

if TYPE_CHECKING:
    import torch

    from rl_core.kinds.portfolio.env import PortfolioWindows

KEEP_REGIME, ALL_ALIKE = (FACTOR_REGIMES[FACTOR_PLACES[name]] for name in ("HOLD", "EQUAL_WEIGHT"))


@dataclass(frozen=True)
class PortfolioKind(DeskKind):
    """A desk that chooses a portfolio of a universe, day by day."""

    desk: PortfolioDesk

    @property
    @override
    def spans_rollouts(self) -> bool:
        return False

    @property
    @override
    def state(self) -> StateTable:
        return PORTFOLIO_STATE

    @property
    @override
    def actions(self) -> tuple[str, ...]:
        return tuple(regime.name for regime in self.menu)

    @property
    @override
    def price_name(self) -> str:
        """Of all stocks alike, from 100 at the first session."""
        return "equal_weight_index"

    @property
    @override
    def has_strength(self) -> bool:
        return False

    @property
    @override
    def decision_columns(self) -> tuple[str, ...]:
        """No extra columns: the action alone defines the decision."""
        return ()

    @property
    @override
    def mean_bar_ns(self) -> int:
        return self.desk.bars.interval_ns * 7 // 5

    @cached_property
    def menu(self) -> tuple[Allocation, ...]:
        """What the desk may choose from."""
        return self.desk.allocations.menu

    @override
    def prepare(
        self,
        bars: pd.DataFrame,
        sentiment: pd.DataFrame | None,
        thresholds: RegimeThresholds | None,
    ) -> PanelMarket:
        sessions = np.unique(bars["session"].to_numpy(np.int64)) * self.desk.bars.interval_ns
        known = threshold_rule(self.desk, sessions, thresholds)
        return prepare_panel(
            bars,
            PanelPreparation(
                self.desk.bars, self.desk.quality, self.desk.allocations, self.desk.costs
            ),
            known,
        )

    @override
    def prices_sql(self, bars: pd.DataFrame) -> str:
        source = self.desk.bars
        return panel_prices(source.delisted_after_sessions, source.interval_ns)

    @override
    def vote(self, market: PreparedMarket) -> Vote:
        """What the three analysts decide at every session."""
        universe = of_panel(market)
        view = UniverseView(
            features=universe.features,
            regime=universe.regime,
            weights=universe.portfolios,
            exposures=universe.exposures,
            portfolios=self.desk.allocations.portfolios,
            menu=self.menu,
        )
        return allocator_vote(view, self.desk.ensemble)

    @override
    def walk(
        self,
        market: PreparedMarket,
        first_bar: int,
        action: NDArray[np.int8],
        strength: NDArray[np.float64],
        opened: PortfolioAccount | None = None,
    ) -> AccountWalk:
        return self._walk(of_panel(market), first_bar, action, self.menu, opened)

    def _walk(
        self,
        market: PanelMarket,
        first: int,
        action: NDArray[np.int8],
        menu: Sequence[Allocation],
        opened: PortfolioAccount | None = None,
        note: str = "",
    ) -> AccountWalk:
        names = self.desk.allocations.portfolios
        walk = walk_portfolio(
            market,
            first,
            action,
            menu,
            names,
            self.desk.costs.rates,
            opened or new_account(market.listed.price.shape[1], self.desk.initial_cash),
        )
        span = slice(first, first + len(action))
        value = walk.units * market.listed.price[span]
        columns = portfolio_features(
            value / walk.equity[:, None],
            market.portfolios[span, 0],
            market.exposures[span],
            walk.recent,
            1 - walk.equity / walk.peak_equity,
            np.tanh,
        )
        records = {
            "cash": walk.cash,
            "holdings": value.sum(axis=1),
            "equity": walk.equity,
            **dict(zip(self.state.account_names, columns, strict=True)),
            "traded_value": walk.traded_value,
            "cost": walk.cost,
        }

        def summary() -> Performance:
            performance = walk_performance(market.ns[span], walk, records["holdings"])
            return performance.model_copy(update={"note": note})

        return AccountWalk(records, walk.equity, summary, columns, walk.at)

    @override
    def benchmarks(
        self, market: PreparedMarket, first_bar: int, num_bars: int
    ) -> dict[str, AccountWalk]:
        """Equal weight bought once, equal weight kept up, and the best regime kept up.

        What is kept up is ordered anew as often as the teacher does. The best one is known
        afterwards only: nobody could have picked it.
        """
        universe, rhythm = of_panel(market), self.desk.ensemble.review_sessions
        span = (first_bar, num_bars)
        single = [
            self.kept_up(
                universe, *span, regime, rhythm, f"{regime.name}, best Sharpe in hindsight"
            )
            for regime in self.menu
            if regime.is_order and regime.invested > 0
        ]
        return {
            "buy_and_hold": self.kept_up(
                universe, *span, ALL_ALIKE, None, "equal weight at the start"
            ),
            "equal_weight": self.kept_up(
                universe, *span, ALL_ALIKE, rhythm, f"every {rhythm} sessions"
            ),
            "best_single_regime": max(single, key=sharpe_or_least),
        }

    def kept_up(
        self,
        market: PanelMarket,
        first_bar: int,
        num_bars: int,
        regime: Allocation,
        every: int | None,
        note: str = "",
    ) -> AccountWalk:
        """One regime from fresh cash, at once and then every so many sessions of the history.

        Without `every` it is bought once.
        """
        session = first_bar + np.arange(num_bars)
        is_due = np.zeros(num_bars, dtype=bool) if every is None else session % every == 0
        action = (is_due | (session == first_bar)).astype(np.int8)
        return self._walk(market, first_bar, action, (KEEP_REGIME, regime), note=note)

    @override
    def book_errors(self, history: pd.DataFrame) -> NDArray[np.float64]:
        cash, held, equity = (history[name].to_numpy() for name in ("cash", "holdings", "equity"))
        return np.abs(cash + held - equity) / equity

    @override
    def environment(
        self, market: PreparedMarket, device: torch.device, dtype: torch.dtype
    ) -> PortfolioWindows:
        """Without starts: accounts are opened where a policy is scored."""
        import torch

        nowhere = torch.empty(0, dtype=torch.int64, device=device)
        return self._windows(market, nowhere, device, dtype)

    @override
    def training_environment(
        self,
        market: PreparedMarket,
        kept_bars: NDArray[np.int64],
        rollout_steps: int,
        device: torch.device,
    ) -> PortfolioWindows:
        import torch

        from rl_core.learning.envs.core import allowed_starts

        starts = allowed_starts(torch.tensor(kept_bars, device=device), rollout_steps)
        return self._windows(market, starts, device, torch.float32)

    def _windows(
        self,
        market: PreparedMarket,
        starts: torch.Tensor,
        device: torch.device,
        dtype: torch.dtype,
    ) -> PortfolioWindows:
        from rl_core.kinds.portfolio.env import PortfolioMarket, PortfolioParams, PortfolioWindows

        desk = self.desk
        universe = PortfolioMarket.from_prepared(of_panel(market), device, dtype)
        params = PortfolioParams.of(
            self.menu, desk.allocations.portfolios, desk.costs.rates, desk.initial_cash,
            desk.environment, universe.price,
        )  # fmt: skip
        return PortfolioWindows(starts, universe, params)

    @override
    def memory_dimensions(self, stocks: int) -> dict[str, int]:
        """Tables of prices and weights, and every account's holdings."""
        return {"stocks": stocks, "portfolios": len(self.desk.allocations.portfolios)}

    @override
    def account_state(
        self, market: PreparedMarket, account: Mapping[str, float]
    ) -> NDArray[np.float32]:
        """The 14 account features at the last close."""
        universe = of_panel(market)
        now = account_now(universe, account)
        columns = portfolio_features(
            now.weights[None],
            universe.portfolios[-1:, 0],
            universe.exposures[-1:],
            now.recent,
            np.array([now.drawdown]),
            np.tanh,
        )
        return np.concatenate(columns).astype(np.float32)

    @override
    def decision_details(
        self, market: PreparedMarket, account: Mapping[str, float], action: str, strength: float
    ) -> dict[str, Any]:
        """The weights that a regime means, the orders that lead there, and what they cost."""
        universe = of_panel(market)
        regime = self.menu[self.actions.index(action)]
        return order_details(universe, self.desk, regime, account_now(universe, account))


def sharpe_or_least(walk: AccountWalk) -> float:
    """A Sharpe ratio to compare; without one a walk comes last."""
    sharpe = walk.performance.sharpe
    return -np.inf if sharpe is None else sharpe


def of_panel(market: PreparedMarket) -> PanelMarket:
    """A market that is known to be a universe's."""
    if not isinstance(market, PanelMarket):
        raise TypeError("a portfolio desk must have a prepared panel, was one instrument's bars")
    return market


def walk_performance(
    ns: NDArray[np.int64], walk: PortfolioWalk, holdings: NDArray[np.float64]
) -> Performance:
    """The performance of an account that was walked."""
    return summarise(
        ns,
        walk.equity,
        holdings[1:],
        trade_profits(walk, holdings > 0),
        walk.traded_value[:-1],
        walk.cost[:-1],
    )


def trade_profits(walk: PortfolioWalk, is_held: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Profit of each stretch between two orders that traded, while invested; their sum is all.

    What a fill costs belongs to the trade that it opens, and to the one that it ends where nothing
    is held afterwards.
    """
    cost = walk.cost[:-1]
    trade = np.cumsum(walk.recent.sessions_since_order == 0)  # that runs at each close
    profits = np.zeros(trade[-1] + 1)
    np.add.at(profits, trade[:-1], np.diff(walk.equity) + cost)
    np.subtract.at(profits, np.where(is_held[1:], trade[1:], trade[:-1]), cost)
    was_held = np.bincount(trade, is_held, minlength=trade[-1] + 1) > 0
    return profits[was_held]
