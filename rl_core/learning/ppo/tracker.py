"""What the accounts earned while the policy explored: trades, not rewards.

A trade is counted when it closes, by the environment that knows it; one that is open when an
episode is cut off between rollouts is not. Shapes: N accounts, R rules,
K reward terms.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from rl_core.learning.envs.core import Step


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
    rule_violations: int  # accounts that a broken rule ended
    violations_by_rule: dict[str, int]  # one account may break several at once


@dataclass(frozen=True)
class Tally:
    """Sums over the steps of a rollout, by account, on the device."""

    pnl: Tensor  # (N,)
    trades: Tensor  # (N,)
    wins: Tensor  # (N,)
    gross_profit: Tensor  # (N,)
    gross_loss: Tensor  # (N,)
    drawdown: Tensor  # (N,) the deepest, 0..1
    broken: Tensor  # (R, N)
    reward_terms: Tensor  # (K, N)

    @classmethod
    def zero(cls, num_envs: int, rules: int, terms: int, device: torch.device) -> Self:
        """Totals as before the first step."""
        pnl, trades, wins, profit, loss, drawdown = torch.zeros(6, num_envs, device=device)
        broken = torch.zeros(rules, num_envs, device=device)
        reward_terms = torch.zeros(terms, num_envs, device=device)
        return cls(pnl, trades, wins, profit, loss, drawdown, broken, reward_terms)

    def clear(self) -> None:
        """Set all totals to zero in place."""
        for sums in vars(self).values():
            sums.zero_()

    def add(self, step: Step[Any]) -> None:
        """The totals after one more step."""
        ledger = step.ledger
        earned = torch.where(ledger.closed, ledger.trade_pnl, 0.0).float()
        self.pnl.add_(ledger.pnl)
        self.trades.add_(ledger.closed)
        self.wins.add_(earned > 0)
        self.gross_profit.add_(earned.clamp(min=0))
        self.gross_loss.sub_(earned.clamp(max=0))
        torch.maximum(self.drawdown, ledger.drawdown.float(), out=self.drawdown)
        for sums, broken in zip(self.broken, step.broken, strict=True):
            sums.add_(broken)
        for sums, term in zip(self.reward_terms, step.reward_terms, strict=True):
            sums.add_(term)

    def means(self, names: Sequence[str], num_steps: int) -> dict[str, float | None]:
        """Mean of each reward term per step, on the host."""
        means = (self.reward_terms.mean(dim=1) / num_steps).tolist()
        return {name: _known(mean) for name, mean in zip(names, means, strict=True)}


@dataclass(frozen=True)
class TradeTotals:
    """Sums since the last summary, on the device; () float64 each but the violations."""

    steps: Tensor
    trades: Tensor
    wins: Tensor
    gross_profit: Tensor
    gross_loss: Tensor
    pnl: Tensor
    drawdown: Tensor
    violations: Tensor  # of any rule
    broken: Tensor  # (R,)

    @classmethod
    def zero(cls, rules: int, device: torch.device) -> Self:
        """Totals as before the first step."""
        steps, trades, wins, profit, loss, pnl, drawdown, violations = torch.zeros(
            8, dtype=torch.float64, device=device
        )
        broken = torch.zeros(rules, dtype=torch.float64, device=device)
        return cls(steps, trades, wins, profit, loss, pnl, drawdown, violations, broken)

    def add(self, tally: Tally, terminated: Tensor) -> "TradeTotals":
        """With a rollout's tally and its (T, N) terminations."""

        def total(sums: Tensor) -> Tensor:
            return sums.sum(dim=-1, dtype=torch.float64)

        return TradeTotals(
            steps=self.steps + terminated.numel(),
            trades=self.trades + total(tally.trades),
            wins=self.wins + total(tally.wins),
            gross_profit=self.gross_profit + total(tally.gross_profit),
            gross_loss=self.gross_loss + total(tally.gross_loss),
            pnl=self.pnl + total(tally.pnl),
            drawdown=torch.maximum(self.drawdown, tally.drawdown.max().double()),
            violations=self.violations + terminated.sum(),
            broken=self.broken + total(tally.broken),
        )

    def summary(self, initial_cash: float, rules: Sequence[str]) -> TradeSummary:
        """The totals as figures for people and files."""
        sums = {name: float(total) for name, total in vars(self).items() if name != "broken"}
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
            violations_by_rule={
                rule: int(count) for rule, count in zip(rules, self.broken, strict=True)
            },
        )


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None
