"""Trades by hand."""

import pytest
import torch

from rl_core.training.tracker import TradeTotals, trade_results
from tests.training.problems import one_rollout


def test_a_trade_is_a_stretch_on_one_side_and_its_closing_step() -> None:
    # flat, long for two steps, closed in the third, short until the end
    side = torch.tensor([[0], [1], [1], [0], [-1]], dtype=torch.int8)
    pnl = torch.tensor([[0.0], [-1.0], [5.0], [-2.0], [-4.0]])
    starts = torch.tensor([[True], [False], [False], [False], [False]])
    result, is_trade = trade_results(pnl, side, starts)
    assert result[is_trade].tolist() == [2.0, -4.0]


def test_turning_round_begins_a_new_trade_and_so_does_a_new_account() -> None:
    side = torch.tensor([[1, 1], [-1, 1]], dtype=torch.int8)
    pnl = torch.tensor([[1.0, 2.0], [3.0, 4.0]])
    starts = torch.tensor([[True, True], [False, True]])
    result, is_trade = trade_results(pnl, side, starts)
    assert sorted(result[is_trade].tolist()) == [1.0, 2.0, 3.0, 4.0]


def test_costs_of_an_account_that_never_holds_belong_to_no_trade() -> None:
    side = torch.zeros(3, 1, dtype=torch.int8)
    _, is_trade = trade_results(torch.ones(3, 1), side, torch.zeros(3, 1, dtype=torch.bool))
    assert not is_trade.any()


def test_a_summary_adds_up() -> None:
    training, batch = one_rollout()
    totals = TradeTotals.zero(torch.device("cpu")).add(batch.rollout).add(batch.rollout)
    summary = totals.summary(training.problem.initial_cash)
    assert summary.steps == 2 * 16 * 32
    assert summary.trades > 0
    profit, loss, pnl = summary.gross_profit or 0, summary.gross_loss or 0, summary.pnl or 0
    assert profit - loss == pytest.approx(pnl, rel=1e-4)
    assert summary.pnl_per_trade == pytest.approx(pnl / summary.trades, rel=1e-4)
    assert summary.profit_factor == pytest.approx(profit / loss)
    assert summary.average_return == pytest.approx((summary.pnl_per_trade or 0) / 10_000)
    assert 0 < (summary.win_rate or 0) < 1
    assert 0 < (summary.max_trailing_drawdown or 0) < 1


def test_nothing_traded_is_unknown_and_not_zero() -> None:
    summary = TradeTotals.zero(torch.device("cpu")).summary(10_000.0)
    assert summary.trades == 0
    assert summary.win_rate is summary.profit_factor is summary.pnl_per_trade is None


def test_what_is_not_finite_is_none_because_json_knows_no_nan() -> None:
    _, batch = one_rollout()
    batch.rollout.pnl[3, 5] = torch.nan
    summary = TradeTotals.zero(torch.device("cpu")).add(batch.rollout).summary(10_000.0)
    assert summary.pnl is None
    assert "NaN" not in summary.model_dump_json()
