"""What a portfolio desk knows beyond the others: benchmarks, the asking account, the order."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_core.base.errors import TollgateError
from rl_core.kinds.portfolio.kind import PortfolioKind
from tests.panels import panel_of, portfolio_desk, prepared, random_closes

MARKET = prepared(panel_of(random_closes(400, 4), ("A", "B", "C", "D")))


def kind(**changes: Any) -> PortfolioKind:
    return PortfolioKind(portfolio_desk(Path("none.parquet"), **changes))


def test_benchmarks_are_bought_once_kept_up_and_picked_in_hindsight() -> None:
    walks = kind().benchmarks(MARKET, 195, 200)  # 200 is a multiple of its length
    assert list(walks) == ["buy_and_hold", "equal_weight", "best_single_regime"]
    held, kept, best = (walk.performance for walk in walks.values())
    assert held.round_trips == 1
    assert kept.round_trips == 21  # at once, and then at 200, 210 ... 390
    assert best.note.endswith("best Sharpe in hindsight")
    name = best.note.split(",")[0]
    place = kind().actions.index(name)
    is_due = (np.arange(195, 395) % 10 == 0) | (np.arange(200) == 0)
    action = np.where(is_due, place, 0).astype(np.int8)
    assert kind().walk(MARKET, 195, action, np.ones(200)).performance.sharpe == best.sharpe
    for other in range(2, 12):
        action = np.where(is_due, other, 0).astype(np.int8)
        sharpe = kind().walk(MARKET, 195, action, np.ones(200)).performance.sharpe
        assert sharpe is not None
        assert best.sharpe is not None
        assert sharpe <= best.sharpe


def test_the_teacher_orders_every_so_many_sessions_and_holds_in_between() -> None:
    vote = kind(ensemble={"review_sessions": 7}).vote(MARKET)
    assert set(np.flatnonzero(vote.action)) <= set(range(0, 400, 7))
    assert set(vote.signals) == {"trend", "volatility", "breadth"}


def test_an_order_is_told_in_weights_and_at_what_cost() -> None:
    costs = {"commission_rate": 0, "half_spread_rate": 0.0002, "impact": "none"}
    desk = kind(costs=costs)
    market = prepared(panel_of(random_closes(300, 4), ("A", "B", "C", "D")), costs=costs)
    told = desk.decision_details(market, {"A": 0.5, "B": 0.3}, "FULL_CASH", 0.0)
    assert told["orders"] == {"A": -0.5, "B": -0.3}
    assert told["expected_cost"] == pytest.approx(0.8 * (0.0002 + 0.00025))
    assert (told["weights"], told["cash_weight"]) == ({}, 1.0)
    told = desk.decision_details(market, {}, "EQUAL_WEIGHT", 0.0)
    assert told["weights"] == pytest.approx(dict.fromkeys("ABCD", 0.25))
    assert sum(told["orders"].values()) == pytest.approx(1 / 1.00045, abs=1e-5)
    told = desk.decision_details(market, {"C": 0.4}, "HOLD", 0.0)
    assert (told["orders"], told["weights"], told["cash_weight"]) == ({}, {"C": 0.4}, 0.6)


@pytest.mark.parametrize(
    ("account", "message"),
    [
        ({"X": 0.1}, "must name stocks of the universe or one of .* was X"),
        ({"A": 0.7, "B": 0.4}, r"sum to at most 1, was 1\.1 in sum"),
        ({"A": -0.1}, "must be >= 0"),
        ({"A": float("nan")}, "must be >= 0"),
        ({"equity": float("inf")}, "equity: .*finite"),
        ({"return_5": 1e300}, "return_5: .*less than or equal to 10"),
        ({"cost_20": float("inf")}, "cost_20: .*finite"),
        ({"drawdown": 1.5}, "drawdown: .*less than 1"),
    ],
)
def test_an_impossible_account_is_one_clear_error(account: dict[str, float], message: str) -> None:
    with pytest.raises(TollgateError, match=message):
        kind().account_state(MARKET, account)


def test_the_account_features_of_one_with_nothing_but_cash() -> None:
    seen = dict(zip(kind().state.account_names, kind().account_state(MARKET, {}), strict=True))
    assert seen["cash_weight"] == 1
    assert seen["way_to_equal_weight"] == pytest.approx(0.5)
    assert seen["time_since_switch"] == 1
    assert seen["concentration"] == 0


def test_another_menu_is_taught_by_the_same_analysts() -> None:
    own = {"ALL_A": {"A": 1.0}, "CASHLIKE": {}, "EVEN": dict.fromkeys("ABCD", 0.25)}
    allocations = {"regimes": "own", "own": own}
    market = prepared(MARKET_PANEL, allocations=allocations)
    desk = kind(allocations=allocations, ensemble={"review_sessions": 1})
    assert desk.actions == ("HOLD", "ALL_A", "CASHLIKE", "EVEN")
    vote = desk.vote(market)
    ways = dict(zip(vote.signals["trend"].reasons, range(5), strict=True))
    trend = vote.signals["trend"]
    out = trend.action[trend.reason == ways["far below its mean and falling"]]
    assert len(out) > 0
    assert (out == 2).all()  # FULL_CASH looks like CASHLIKE and nothing else
    above = trend.action[trend.reason == ways["above its mean"]]
    assert (above == 3).all()  # EQUAL_WEIGHT like EVEN


MARKET_PANEL = panel_of(
    random_closes(900, 4, seed=6) * np.exp(-0.0008 * np.maximum(np.arange(900) - 500, 0))[:, None],
    ("A", "B", "C", "D"),
)
