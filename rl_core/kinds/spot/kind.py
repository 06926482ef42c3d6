"""Spot desks: one instrument, bought and sold for cash."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field
from typing_extensions import override

from rl_core.base.errors import validated
from rl_core.features.prepare import PreparedMarket
from rl_core.features.state import StateTable
from rl_core.kinds.base import AccountWalk
from rl_core.kinds.series import SeriesKind
from rl_core.kinds.spot.engine import SpotAccount, walk_bars, walk_performance
from rl_core.kinds.spot.settings import SpotDesk
from rl_core.kinds.spot.state import SPOT_STATE
from rl_core.market.settings import HALF_SPREAD
from rl_core.teacher.vote import Vote, ensemble_vote
from rl_core.trading.accounts import BUY, HOLD, NEVER_TRADED_DAYS, account_features
from rl_core.trading.terms import CostRates

if TYPE_CHECKING:
    import torch

    from rl_core.kinds.spot.env import SpotParams, SpotWindows


class SpotAccountNow(BaseModel):
    """The account that asks: one with nothing but cash, unless told otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    position: float = Field(default=0.0, ge=-1, le=1, description="value held / equity")
    days_since_trade: float = Field(default=NEVER_TRADED_DAYS, ge=0)


@dataclass(frozen=True)
class SpotKind(SeriesKind):
    """A desk that trades one instrument on a market without brackets."""

    desk: SpotDesk

    @property
    @override
    def spans_rollouts(self) -> bool:
        return False

    @property
    @override
    def state(self) -> StateTable:
        return SPOT_STATE

    @property
    @override
    def decision_columns(self) -> tuple[str, ...]:
        return ()

    @property
    @override
    def largest_impact(self) -> float | None:
        costs = self.desk.costs
        others = costs.commission_rate + costs.slippage_rate + costs.half_spread_rate
        # a cap that is small beside the other costs cannot be told from them, and harms nobody
        is_large = costs.impact_coefficient > 0 and costs.max_impact_rate > 4 * others
        return costs.max_impact_rate if is_large else None

    def _rates(self, market: PreparedMarket) -> CostRates:
        is_quoted = HALF_SPREAD in market.bars
        return self.desk.costs.rates(self.desk.bars.interval_ns, is_quoted=is_quoted)

    def _params(self, market: PreparedMarket) -> SpotParams:
        from rl_core.kinds.spot.env import SpotParams

        return SpotParams(self._rates(market), self.desk.account, self.desk.environment)

    @override
    def vote(self, market: PreparedMarket) -> Vote:
        return ensemble_vote(
            market.indicators, market.regime, market.health, market.sentiment, self.desk.ensemble
        )

    @override
    def walk(
        self,
        market: PreparedMarket,
        first_bar: int,
        action: NDArray[np.int8],
        strength: NDArray[np.float64],
        opened: SpotAccount | None = None,
    ) -> AccountWalk:
        span = slice(first_bar, first_bar + len(action))
        bars = market.bars.iloc[span]
        walk = walk_bars(
            bars, action, strength, market.impact_scale[span], self._rates(market),
            self.desk.account, opened,
        )  # fmt: skip
        columns = account_features(
            walk.cash, walk.units, bars["close"].to_numpy(), walk.days_since_trade, np.tanh
        )
        records = {
            "cash": walk.cash,
            "units": walk.units,
            "equity": walk.equity,
            **dict(zip(self.state.account_names, columns, strict=True)),
            "days_since_trade": walk.days_since_trade,
            "target": np.where(action == HOLD, np.nan, walk.target),
            "fill_price": walk.fill_price,
            "traded_units": walk.traded_units,
            "cost": walk.cost,
            "equity_after_fill": walk.equity_after_fill,
        }

        def at(row: int) -> SpotAccount:
            return SpotAccount(walk.cash[row], walk.units[row], walk.days_since_trade[row])

        return AccountWalk(records, walk.equity, partial(walk_performance, bars, walk), columns, at)

    @override
    def benchmarks(
        self, market: PreparedMarket, first_bar: int, num_bars: int
    ) -> dict[str, AccountWalk]:
        return {"buy_and_hold": self._buy_and_hold(market, first_bar, num_bars)}

    def _buy_and_hold(self, market: PreparedMarket, first_bar: int, num_bars: int) -> AccountWalk:
        """Buy at the first open and hold to the end."""
        action = np.full(num_bars, HOLD, dtype=np.int8)
        action[0] = BUY
        strength = np.full(num_bars, self.desk.account.max_position)
        return self.walk(market, first_bar, action, strength)

    @override
    def book_errors(self, history: pd.DataFrame) -> NDArray[np.float64]:
        cash, units, equity = (history[name].to_numpy() for name in ("cash", "units", "equity"))
        return np.abs(cash + units * history["close"].to_numpy() - equity) / equity

    @override
    def environment(
        self, market: PreparedMarket, device: torch.device, dtype: torch.dtype
    ) -> SpotWindows:
        """Without starts: accounts are opened where a policy is scored."""
        import torch

        from rl_core.kinds.spot.env import SpotMarket, SpotWindows

        nowhere = torch.empty(0, dtype=torch.int64, device=device)
        return SpotWindows(
            nowhere, SpotMarket.from_prepared(market, device, dtype), self._params(market)
        )

    @override
    def training_environment(
        self,
        market: PreparedMarket,
        kept_bars: NDArray[np.int64],
        rollout_steps: int,
        device: torch.device,
    ) -> SpotWindows:
        import torch

        from rl_core.kinds.spot.env import SpotMarket, SpotWindows
        from rl_core.learning.envs.core import allowed_starts

        starts = allowed_starts(torch.tensor(kept_bars, device=device), rollout_steps)
        return SpotWindows(starts, SpotMarket.from_prepared(market, device), self._params(market))

    @override
    def account_state(
        self, market: PreparedMarket, account: Mapping[str, float]
    ) -> NDArray[np.float32]:
        now = validated(SpotAccountNow, dict(account), "the account")
        units = np.array([now.position])  # of equity 1 at price 1
        columns = account_features(
            1 - units, units, np.ones(1), np.array([now.days_since_trade]), np.tanh
        )
        return np.concatenate(columns).astype(np.float32)

    @override
    def decision_details(
        self, market: PreparedMarket, account: Mapping[str, float], action: str, strength: float
    ) -> dict[str, Any]:
        return {}
