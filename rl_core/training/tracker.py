"""What the accounts earned while the policy explored: trades, not rewards.

A trade is a stretch of steps on one side of the market; the step that closes it belongs to it, and
one that turns from long to short to the new one. What is open when the rollout ends is counted at
its mark. Shapes: T steps, N accounts.
"""

import math
from dataclasses import dataclass
from typing import Self

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from rl_core.training.rollout import Rollout


class TradeSummary(BaseModel):
    """Trades of some iterations, by the exploring policy in training: no estimate of skill."""

    model_config = ConfigDict(frozen=True)

    steps: int
    trades: int
    pnl: float | None  # account currency, over all accounts; None is not finite
    pnl_per_trade: float | None
    gross_profit: float | None
    gross_loss: float | None  # >= 0
    win_rate: float | None
    profit_factor: float | None  # None without a loss
    average_return: float | None  # P&L of a trade / initial cash, mean
    max_trailing_drawdown: float | None  # 0..1 of the highest equity
    rule_violations: int


@dataclass(frozen=True)
class TradeTotals:
    """Sums since the last summary, on the device; () float64 each."""

    steps: Tensor
    trades: Tensor
    wins: Tensor
    gross_profit: Tensor
    gross_loss: Tensor
    pnl: Tensor
    drawdown: Tensor
    violations: Tensor

    @classmethod
    def zero(cls, device: torch.device) -> Self:
        """Nothing yet."""
        return cls(*torch.zeros(8, dtype=torch.float64, device=device))

    def add(self, rollout: Rollout) -> "TradeTotals":
        """With a rollout's trades."""
        trade_pnl, is_trade = trade_results(rollout.pnl, rollout.side, rollout.starts)
        profit, loss = trade_pnl.clamp(min=0), (-trade_pnl).clamp(min=0)
        return TradeTotals(
            steps=self.steps + rollout.pnl.numel(),
            trades=self.trades + is_trade.sum(),
            wins=self.wins + (is_trade & (trade_pnl > 0)).sum(),
            gross_profit=self.gross_profit + profit.sum(dtype=torch.float64),
            gross_loss=self.gross_loss + loss.sum(dtype=torch.float64),
            pnl=self.pnl + rollout.pnl.sum(dtype=torch.float64),
            drawdown=torch.maximum(self.drawdown, rollout.drawdown.max().double()),
            violations=self.violations + rollout.terminated.sum(),
        )

    def summary(self, initial_cash: float) -> TradeSummary:
        """For people and files."""
        sums = {name: float(getattr(self, name)) for name in self.__dataclass_fields__}
        profit, loss, trades = sums["gross_profit"], sums["gross_loss"], sums["trades"]
        per_trade = (profit - loss) / trades if trades else math.nan
        return TradeSummary(
            steps=int(sums["steps"]),
            trades=int(trades),
            pnl=_known(sums["pnl"]),
            pnl_per_trade=_known(per_trade),
            gross_profit=_known(profit),
            gross_loss=_known(loss),
            win_rate=sums["wins"] / trades if trades else None,
            profit_factor=_known(profit / loss) if loss else None,
            average_return=_known(per_trade / initial_cash),
            max_trailing_drawdown=_known(sums["drawdown"]),
            rule_violations=int(sums["violations"]),
        )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def trade_results(pnl: Tensor, side: Tensor, starts: Tensor) -> tuple[Tensor, Tensor]:
    """Profit or loss of each trade, (T + 1, N), and which of these places hold a trade.

    Args:
        pnl: (T, N) of each step.
        side: (T, N) -1, 0 or 1 after each step.
        starts: (T, N) bool, the account is a new one from this step on.
    """
    before = torch.cat([torch.zeros_like(side[:1]), side[:-1]])
    before = torch.where(starts, 0, before)
    stretch = ((side != before) | starts).cumsum(dim=0)  # 1, 2, ... down each account
    closes = (side == 0) & (before != 0)
    owner = stretch - closes.long()
    is_in_trade = (side != 0) | closes
    room = torch.zeros(len(pnl) + 1, pnl.shape[1], dtype=pnl.dtype, device=pnl.device)
    trade_pnl = room.scatter_add(0, owner, torch.where(is_in_trade, pnl, 0.0))
    is_trade = room.scatter_add(0, owner, is_in_trade.to(pnl.dtype)) > 0
    return trade_pnl, is_trade
