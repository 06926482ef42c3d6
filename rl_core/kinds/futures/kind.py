"""Futures desks: one future, intraday, with brackets and the rulebook of a funded account."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator
from typing_extensions import override

from rl_core.base.errors import TollgateError, validated
from rl_core.features.prepare import PreparedMarket
from rl_core.features.regimes import RegimeThresholds
from rl_core.features.state import StateTable
from rl_core.kinds.base import AccountWalk
from rl_core.kinds.futures.engine import walk_future
from rl_core.kinds.futures.settings import FuturesDesk
from rl_core.kinds.futures.state import FUTURES_STATE
from rl_core.kinds.series import SeriesKind
from rl_core.market.rolls import rolls
from rl_core.market.settings import HALF_SPREAD
from rl_core.teacher.analysts import SessionView
from rl_core.teacher.vote import Vote, ensemble_vote
from rl_core.trading.accounts import ACTIONS
from rl_core.trading.brackets import (
    FREE,
    RULES,
    Account,
    Bar,
    Position,
    bracket_features,
    fill_order,
)
from rl_core.trading.performance import Performance, summarise

if TYPE_CHECKING:
    import torch

    from rl_core.kinds.futures.env import FuturesEpisodes

VWAP_DISTANCE = FUTURES_STATE.market_names.index("vwap_distance")


class FuturesAccountNow(BaseModel):
    """The account that asks: flat and new, unless told otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contracts: int = Field(default=0, description="held; negative when short")
    entry_price: float | None = Field(default=None, gt=0)
    stop_price: float | None = Field(default=None, gt=0)
    target_price: float | None = Field(default=None, gt=0)
    held_bars: float = Field(default=0.0, ge=0)
    drawdown_usd: FiniteFloat = Field(default=0.0, ge=0, description="below the highest equity")
    day_loss_usd: FiniteFloat = Field(
        default=0.0, description="since the session's start; < 0 is a gain"
    )
    is_barred: bool = False

    @model_validator(mode="after")
    def _a_position_has_its_bracket(self) -> Self:
        bracket = {
            "entry_price": self.entry_price, "stop_price": self.stop_price,
            "target_price": self.target_price,
        }  # fmt: skip
        given = [name for name, price in bracket.items() if price is not None]
        if len(given) != (len(bracket) if self.contracts else 0):
            raise ValueError(
                "a position must have contracts, entry_price, stop_price and target_price, and no "
                f"position none of them, was {self.contracts} contracts with "
                f"{', '.join(given) or 'no price'}"
            )
        side = 1 if self.contracts > 0 else -1
        if self.contracts and side * ((self.stop_price or 0) - (self.target_price or 0)) >= 0:
            raise ValueError(
                "a long position must have its stop below its target and a short one above, was "
                f"{self.contracts} contracts, stop {self.stop_price}, target {self.target_price}"
            )
        return self


@dataclass(frozen=True)
class FuturesKind(SeriesKind):
    """A desk that trades one future intraday, with brackets and a rulebook."""

    desk: FuturesDesk

    @property
    @override
    def spans_rollouts(self) -> bool:
        return True

    @property
    @override
    def knows_the_session(self) -> bool:
        return True

    @property
    @override
    def state(self) -> StateTable:
        return FUTURES_STATE

    @property
    @override
    def decision_columns(self) -> tuple[str, ...]:
        """The bracket of the entry that a decision led to."""
        return ("fill_price", "stop_loss", "take_profit")

    @override
    def prepare(
        self,
        bars: pd.DataFrame,
        sentiment: pd.DataFrame | None,
        thresholds: RegimeThresholds | None,
    ) -> PreparedMarket:
        """As for any series; a future's slippage is set in points, and a quoted spread refused."""
        if HALF_SPREAD in bars:
            raise TollgateError(
                "bars of a futures desk must be traded prices, was bid and ask: map open, high, "
                "low and close in bars.columns, and set costs.slippage_ticks to half the spread"
            )
        return super().prepare(bars, sentiment, thresholds)

    @override
    def vote(self, market: PreparedMarket) -> Vote:
        """What the ensemble decides at every bar; its technical analyst knows the session."""
        session = SessionView(
            market.session_clock,
            market.features[:, VWAP_DISTANCE].astype(np.float64),
            self.desk.ensemble.session,
        )
        return ensemble_vote(
            market.indicators, market.regime, market.health, market.sentiment, self.desk.ensemble,
            session,
        )  # fmt: skip

    @override
    def walk(
        self,
        market: PreparedMarket,
        first_bar: int,
        action: NDArray[np.int8],
        strength: NDArray[np.float64],
        opened: Account | None = None,
    ) -> AccountWalk:
        span = slice(first_bar, first_bar + len(action))
        bars, clock, atr = market.bars.iloc[span], market.session_clock, market.atr_points[span]
        trading = self.desk.trading
        rows = walk_future(
            bars, atr, clock.starts[span], clock.ends[span], action, strength, trading.terms,
            trading.rulebook, opened,
        )  # fmt: skip
        account = Account(*(rows[name] for name in Account._fields))
        columns = bracket_features(
            account, bars["close"].to_numpy(), atr, trading.terms, trading.rulebook, np.tanh
        )
        records = {**rows, **dict(zip(self.state.account_names, columns, strict=True))}
        return AccountWalk(
            records,
            rows["equity"],
            lambda: self._performance(market.ns[span], rows),
            columns,
            lambda row: Account(*(float(column[row]) for column in account)),
        )

    def _performance(
        self, ns: NDArray[np.int64], rows: Mapping[str, NDArray[np.float64]]
    ) -> Performance:
        trades = np.isfinite(rows["trade_pnl"])
        fills = np.nan_to_num(rows["fill_price"]) + np.nan_to_num(rows["exit_price"])
        held = np.nan_to_num(rows["held_contracts"])
        return summarise(
            ns,
            rows["equity"],
            held[:-1],
            rows["trade_pnl"][trades],
            (fills * held * self.desk.contract.point_value_usd)[:-1],
            rows["cost"][:-1],
            {rule: int(np.nansum(rows[f"broke_{rule}"])) for rule in RULES},
        )

    @override
    def benchmarks(
        self, market: PreparedMarket, first_bar: int, num_bars: int
    ) -> dict[str, AccountWalk]:
        return {"buy_and_hold": self._buy_and_hold(market, first_bar, num_bars)}

    def _buy_and_hold(self, market: PreparedMarket, first_bar: int, num_bars: int) -> AccountWalk:
        """Long the most contracts all the time, overnight and over rolls, which are paid for.

        No rulebook and no bracket: it is what the market did, in dollars of the same size.
        """
        span = slice(first_bar, first_bar + num_bars)
        bars, trading = market.bars.iloc[span], self.desk.trading
        close, terms = bars["close"].to_numpy(), trading.terms
        money = terms.max_contracts * terms.point_value
        before = np.where(rolls(bars)[1:], bars["open"].to_numpy()[1:], close[:-1])
        fill_cost = terms.max_contracts * terms.commission / 2 + money * terms.slippage
        fills = 2.0 * rolls(bars)[1:]
        fills[0] += 1
        cost = fills * fill_cost
        equity = trading.rulebook.initial_cash + np.concatenate(
            [[0.0], np.cumsum(money * (close[1:] - before) - cost)]
        )
        summary = partial(
            summarise,
            market.ns[span], equity, np.ones(len(close) - 1), equity[-1:] - equity[0],
            fills * money * close[1:], cost,
        )  # fmt: skip
        return AccountWalk({}, equity, summary)

    @override
    def book_errors(self, history: pd.DataFrame) -> NDArray[np.float64]:
        """Equity is cash and what is open, and only fills and commissions change cash."""
        value, commission = self.desk.contract.point_value_usd, self.desk.costs.commission_usd
        column = {name: history[name].to_numpy() for name in history.columns}
        profit, cash = column["profit"], self.desk.initial_cash
        money = column["side"] * column["contracts"] * value
        marked = money * (column["close"] - column["entry_price"])
        equity_error = np.abs(cash + profit + marked - column["equity"])

        entered, left = column["enters"] > 0, column["exit"] > 0
        entry = np.where(entered, column["fill_price"], column["entry_price"])
        held = column["held_side"] * column["held_contracts"] * value
        gain = np.where(left, held * (column["exit_price"] - entry), 0.0)
        paid = commission / 2 * column["held_contracts"] * (entered * 1.0 + left)
        cash_error = np.abs(np.diff(profit) - (gain - paid)[:-1])
        return np.maximum(equity_error, np.append(cash_error, 0.0)) / cash

    @override
    def environment(
        self, market: PreparedMarket, device: torch.device, dtype: torch.dtype
    ) -> FuturesEpisodes:
        """Full costs, no bonus: the curriculum is nowhere in it."""
        import torch

        return self._episodes(
            market, np.arange(0), torch.empty(0, dtype=torch.int64, device=device), device, dtype
        )

    @override
    def training_environment(
        self,
        market: PreparedMarket,
        kept_bars: NDArray[np.int64],
        rollout_steps: int,
        device: torch.device,
    ) -> FuturesEpisodes:
        """Episodes as training begins: the trainer moves the curriculum on."""
        import torch

        from rl_core.learning.envs.core import allowed_starts

        starts = allowed_starts(torch.tensor(kept_bars, device=device), rollout_steps)
        return self._episodes(market, kept_bars, starts, device, torch.float32).at_progress(0.0)

    def _episodes(
        self,
        market: PreparedMarket,
        kept_bars: NDArray[np.int64],
        starts: torch.Tensor,
        device: torch.device,
        dtype: torch.dtype,
    ) -> FuturesEpisodes:
        import torch

        from rl_core.kinds.futures.env import FuturesEpisodes, FuturesMarket, FuturesParams

        trading, config = self.desk.trading, self.desk.environment
        is_kept = torch.zeros(len(market.bars), dtype=torch.bool, device=device)
        is_kept[torch.tensor(kept_bars, dtype=torch.int64, device=device)] = True
        return FuturesEpisodes(
            market=FuturesMarket.from_prepared(market, device, dtype),
            params=FuturesParams.full(trading, config),
            trading=trading,
            config=config,
            starts=starts,
            is_kept=is_kept,
        )

    @override
    def account_state(
        self, market: PreparedMarket, account: Mapping[str, float]
    ) -> NDArray[np.float32]:
        """The eight account features at the last close."""
        trading = self.desk.trading
        now = (np.array([figure]) for figure in self._account(account))
        columns = bracket_features(
            Account(*now),
            market.bars["close"].to_numpy()[-1:],
            market.atr_points[-1:],
            trading.terms,
            trading.rulebook,
            np.tanh,
        )
        return np.concatenate(columns).astype(np.float32)

    def _account(self, figures: Mapping[str, float]) -> Account:
        """The account that asks, validated and with its defaults."""
        now = validated(FuturesAccountNow, dict(figures), "the account")
        cash, limit = self.desk.initial_cash, self.desk.rules.contract_limit
        if abs(now.contracts) > limit:
            raise TollgateError(
                f"the account: contracts must be at most rules.contract_limit, {limit}, was "
                f"{now.contracts}"
            )
        return Account(
            profit=0.0,
            side=float(np.sign(now.contracts)),
            contracts=float(abs(now.contracts)),
            entry_price=now.entry_price or 0.0,
            stop_price=now.stop_price or 0.0,
            target_price=now.target_price or 0.0,
            held_bars=now.held_bars,
            equity=cash,
            peak_equity=cash + now.drawdown_usd,
            session_equity=cash + now.day_loss_usd,
            barred=float(now.is_barred),
        )

    @override
    def decision_details(
        self, market: PreparedMarket, account: Mapping[str, float], action: str, strength: float
    ) -> dict[str, Any]:
        """What the order would do, filled at the last close: the very function that fills it."""
        close, trading = float(market.bars["close"].iloc[-1]), self.desk.trading
        is_over = bool(market.session_clock.ends[-1])
        bar = Bar(close, close, close, close, float(market.atr_points[-1]), is_over, ends=False)
        now = self._account(account)
        filled = fill_order(
            now, ACTIONS.index(action), strength, bar, trading.terms, trading.rulebook
        )
        order = "enter" if filled.enters else "leave" if filled.leaves else "none"
        is_held = bool(filled.side) and order != "leave"
        return {
            "order": order,
            "order_reason": order_reason(filled, now, action, is_over=is_over),
            "contracts": float(filled.side * filled.contracts) if is_held else 0.0,
            "stop_loss": float(filled.stop_price) if is_held else None,
            "take_profit": float(filled.target_price) if is_held else None,
        }


def order_reason(filled: Position, before: Account, action: str, *, is_over: bool) -> str:
    """Why an order does what it does, in words: the first that applies."""
    reasons = {
        "the session has ended: an order is void, and a position is closed": is_over,
        "it closes the position, against it or held as long as allowed": filled.leaves,
        "HOLD is no order": action == "HOLD",
        "it enters at the next open with this bracket": filled.enters,
        "a position in that direction is held already": before.side != 0,
        "a broken rule bars the account": before.barred != FREE,
        "beyond the contract limit": filled.breaks_limit,
    }
    return next((said for said, applies in reasons.items() if applies), "less than half a contract")
