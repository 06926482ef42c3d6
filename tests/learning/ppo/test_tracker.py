"""Trades by hand."""

import pytest
import torch

from rl_core.kinds.spot.env import SpotState, trade_results
from rl_core.learning.ppo.tracker import TradeTotals
from tests.learning.problems import one_rollout


def in_turn(units: list[float], pnl: list[float]) -> list[float]:
    """What each trade of one account earned, step by step; its last step ends the episode."""
    zero = torch.zeros(1)
    state = SpotState(zero.long(), zero.long(), zero, zero, zero, zero, zero, zero)
    earned: list[float] = []
    for number, (held, gain) in enumerate(zip(units, pnl, strict=True), start=1):
        is_last = torch.tensor([number == len(units)])
        closed, result, running = trade_results(
            state, torch.tensor([held]), torch.tensor([gain]), is_last=is_last
        )
        earned += result[closed].tolist()
        state = state._replace(units=torch.tensor([held]), trade_pnl=running)
    return earned


def test_a_trade_is_a_stretch_on_one_side_and_its_closing_step() -> None:
    # flat, long for two steps, closed in the fourth, short until the end
    assert in_turn([0, 1, 2, 0, -1], [0, -1, 5, -2, -4]) == [2.0, -4.0]


def test_turning_round_begins_a_new_trade() -> None:
    assert in_turn([1, -1, -1, 0], [1, 3, 4, -1]) == [1.0, 6.0]


def test_costs_of_an_account_that_never_holds_belong_to_no_trade() -> None:
    assert in_turn([0, 0, 0], [1, 1, 1]) == []


def test_a_summary_adds_up() -> None:
    training, batch = one_rollout()
    rollout = batch.rollout
    totals = TradeTotals.zero(1, torch.device("cpu"))
    for _ in range(2):
        totals = totals.add(rollout.tally, rollout.terminated)
    summary = totals.summary(training.problem.initial_cash, training.problem.environment.rules)
    assert summary.steps == 2 * 16 * 32
    assert summary.trades > 0
    profit, loss, pnl = summary.gross_profit or 0, summary.gross_loss or 0, summary.pnl or 0
    assert profit - loss == pytest.approx(pnl, rel=1e-3)
    assert summary.pnl_per_trade == pytest.approx(pnl / summary.trades, rel=1e-3)
    assert summary.profit_factor == pytest.approx(profit / loss)
    assert summary.average_return == pytest.approx((summary.pnl_per_trade or 0) / 10_000)
    assert 0 < (summary.win_rate or 0) < 1
    assert 0 < (summary.max_trailing_drawdown or 0) < 1
    assert summary.violations_by_rule == {"max_drawdown": summary.rule_violations}


def test_nothing_traded_is_unknown_and_not_zero() -> None:
    summary = TradeTotals.zero(0, torch.device("cpu")).summary(10_000.0, ())
    assert summary.trades == 0
    assert summary.win_rate is summary.profit_factor is summary.pnl_per_trade is None


def test_what_is_not_finite_is_none_because_json_knows_no_nan() -> None:
    _, batch = one_rollout()
    rollout = batch.rollout
    rollout.tally.pnl[5] = torch.nan
    totals = TradeTotals.zero(1, torch.device("cpu")).add(rollout.tally, rollout.terminated)
    summary = totals.summary(10_000.0, ("max_drawdown",))
    assert summary.pnl is None
    assert "NaN" not in summary.model_dump_json()
