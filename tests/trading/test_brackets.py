"""Bracket fills by hand: NQ at 20 USD a point, a tick of slippage, ATR 10, stop 2, target 3 ATR."""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from rl_core.kinds.futures.settings import FuturesTrading
from rl_core.trading.accounts import BUY, HOLD, SELL
from rl_core.trading.brackets import (
    EXITS,
    Account,
    Bar,
    Outcome,
    bracket_features,
    new_account,
    on_tick,
    trade_bar,
)

NQ = FuturesTrading()
BIG = FuturesTrading.model_validate(
    {"account": {"max_contracts": 4}, "rules": {"contract_limit": 3}}
)


def bar(
    open_price: float,
    high: float,
    low: float,
    close: float,
    *,
    atr: float = 10.0,
    starts: bool = False,
    ends: bool = False,
) -> Bar:
    return Bar(open_price, high, low, close, atr, starts, ends)


def after(
    account: Account, action: int, of: Bar, strength: float = 1.0, trading: FuturesTrading = NQ
) -> Outcome:
    return trade_bar(account, action, strength, of, trading.terms, trading.rulebook)


def entered(action: int = BUY, trading: FuturesTrading = NQ) -> Account:
    """One contract at 18,000, marked there."""
    outcome = after(
        new_account(0.0, 50_000.0), action, bar(18000, 18010, 17990, 18000), 1.0, trading
    )
    assert outcome.position.enters
    return outcome.account


def money(outcome: Outcome) -> tuple[str, float, float]:
    """How it ended, where, and what the trade earned."""
    return EXITS[int(outcome.exit.kind)], outcome.exit.price, outcome.trade_pnl


def test_an_entry_pays_slippage_and_half_the_commission_and_hangs_its_bracket_on_the_fill() -> None:
    outcome = after(new_account(0.0, 50_000.0), BUY, bar(18000, 18010, 17990, 18005))
    account = outcome.account
    assert (account.side, account.contracts) == (1, 1)
    assert account.entry_price == 18000.25
    assert account.stop_price == 17980.25
    assert account.target_price == 18030.25
    assert account.profit == -1.25
    assert account.equity == 50_000 - 1.25 + 20 * 4.75
    assert outcome.cost == 1.25 + 20 * 0.25


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        # opens below the stop: out at the open, a tick worse
        (bar(17970, 17975, 17960, 17965), ("stop", 17969.75, -612.5)),
        (bar(17990, 17995, 17980, 17990), ("stop", 17980.0, -407.5)),
        # touches stop and target: the stop counts
        (bar(18000, 18040, 17975, 18030), ("stop", 17980.0, -407.5)),
        # trades a tick beyond the target: out at the target, without slippage
        (bar(18000, 18030.5, 17995, 18020), ("target", 18030.25, 597.5)),
        # opens beyond the target: no better than the target
        (bar(18050, 18060, 18040, 18055), ("target", 18030.25, 597.5)),
        (bar(18000, 18020, 17990, 18012, ends=True), ("session_end", 18011.75, 227.5)),
    ],
    ids=["gap through the stop", "stop", "both touched", "target", "gap over the target", "end"],
)
def test_each_way_out_of_a_long_position(of: Bar, expected: tuple[str, float, float]) -> None:
    outcome = after(entered(), HOLD, of)
    assert money(outcome) == pytest.approx(expected)
    assert outcome.account.side == 0
    assert outcome.account.equity == pytest.approx(50_000 + expected[2])
    assert outcome.account.profit == pytest.approx(expected[2])


@pytest.mark.parametrize(
    ("of", "expected"),
    [
        (bar(18030, 18035, 18025, 18030), ("stop", 18030.25, -612.5)),
        (bar(18000, 18019.75, 17995, 18010), ("stop", 18020.0, -407.5)),
        (bar(18000, 18025, 17960, 17970), ("stop", 18020.0, -407.5)),
        (bar(18000, 18005, 17969.5, 17980), ("target", 17969.75, 597.5)),
        (bar(18000, 18010, 17980, 17988, ends=True), ("session_end", 17988.25, 227.5)),
    ],
)
def test_a_short_position_is_the_mirror_of_a_long_one(
    of: Bar, expected: tuple[str, float, float]
) -> None:
    outcome = after(entered(SELL), HOLD, of)
    assert money(outcome) == pytest.approx(expected)


def test_a_touch_of_the_target_is_not_a_fill() -> None:
    outcome = after(entered(), HOLD, bar(18000, 18030.25, 17995, 18020))
    assert EXITS[int(outcome.exit.kind)] == "none"
    assert outcome.account.held_bars == 2


def test_a_position_may_be_stopped_in_the_bar_of_its_entry() -> None:
    outcome = after(new_account(0.0, 50_000.0), BUY, bar(18000, 18001, 17980, 17990))
    assert money(outcome) == pytest.approx(("stop", 17980.0, -407.5))
    assert outcome.account.equity == pytest.approx(50_000 - 407.5)


def test_an_order_against_closes_at_the_open_and_does_not_turn_round() -> None:
    for action, strength in ((SELL, 1.0), (BUY, 0.2), (SELL, 0.0)):  # 0.2 contracts are none
        outcome = after(entered(), action, bar(18004, 18010, 18000, 18008), strength)
        assert money(outcome) == pytest.approx(("order", 18003.75, 67.5))
        assert outcome.account.side == 0


def test_an_order_in_the_same_direction_changes_nothing() -> None:
    held, ordered = (after(entered(), action, bar(18004, 18010, 18000, 18008)) for action in (0, 1))
    assert held.account == ordered.account


def test_a_position_leaves_at_the_open_after_its_longest_time() -> None:
    account = entered()._replace(held_bars=240.0)
    assert money(after(account, HOLD, bar(18004, 18010, 18000, 18008)))[0] == "order"
    assert (
        money(after(account._replace(held_bars=239.0), HOLD, bar(18004, 18010, 18000, 18008)))[0]
        == "none"
    )


def test_an_order_of_yesterday_is_void_today() -> None:
    outcome = after(new_account(0.0, 50_000.0), BUY, bar(18000, 18010, 17990, 18005, starts=True))
    assert not outcome.position.enters
    assert outcome.account == new_account(0.0, 50_000.0)


WIDE = FuturesTrading.model_validate({"brackets": {"stop": 10.0, "target": 10.0}})


def test_the_daily_loss_limit_liquidates_at_the_worst_price_of_the_bar_and_bars_the_account() -> (
    None
):
    # stop at 17,900.25; at 17,945 the account is down 20 x 55.25 + 2.50 and a tick: beyond 1,000
    outcome = after(entered(trading=WIDE), HOLD, bar(17990, 17995, 17945, 17990), trading=WIDE)
    assert money(outcome) == pytest.approx(("liquidation", 17944.75, -1112.5))
    assert outcome.exit.broke_daily_loss
    assert not outcome.exit.broke_drawdown
    barred = outcome.account
    assert barred.barred == 1
    refused = after(barred, BUY, bar(18000, 18010, 17990, 18000))
    assert not refused.position.enters
    assert refused.account.barred == 1
    morning = after(refused.account, HOLD, bar(18000, 18010, 17990, 18000, starts=True)).account
    assert morning.barred == 0
    assert morning.session_equity == morning.equity == 50_000 - 1112.5
    assert morning.peak_equity == 50_000  # only a broken drawdown limit begins anew


def test_the_trailing_drawdown_counts_from_the_highest_equity() -> None:
    account = entered(trading=WIDE)._replace(peak_equity=52_000.0)
    fine = after(account, HOLD, bar(17990, 17995, 17976, 17990), trading=WIDE)
    assert not fine.exit.broke_drawdown  # 49,507.50 is above 49,500
    broken = after(account, HOLD, bar(17990, 17995, 17975, 17990), trading=WIDE)
    assert broken.exit.broke_drawdown  # 49,487.50 is not
    assert EXITS[int(broken.exit.kind)] == "liquidation"


def test_only_a_broken_drawdown_limit_begins_anew_the_next_morning() -> None:
    account = entered(trading=WIDE)._replace(peak_equity=52_000.0)
    broken = after(account, HOLD, bar(17990, 17995, 17975, 17990), trading=WIDE).account
    morning = after(broken, HOLD, bar(18000, 18010, 17990, 18000, starts=True)).account
    assert morning.peak_equity == morning.equity == broken.equity
    assert morning.barred == 0
    used = new_account(0.0, 50_000.0)._replace(profit=-2400.0, equity=47_600.0)
    refused = after(used, BUY, bar(18000, 18010, 17990, 18005), 1.0, BIG).account
    next_day = after(refused, HOLD, bar(18000, 18010, 17990, 18000, starts=True)).account
    assert next_day.peak_equity == 50_000


def test_who_had_to_be_closed_by_the_end_does_not_trade_the_next_session() -> None:
    closed = after(entered(), HOLD, bar(18000, 18020, 17990, 18012, ends=True)).account
    morning = after(closed, HOLD, bar(18000, 18010, 17990, 18000, starts=True)).account
    assert not after(morning, BUY, bar(18000, 18010, 17990, 18000)).position.enters
    third = after(morning, HOLD, bar(18000, 18010, 17990, 18000, starts=True)).account
    assert after(third, BUY, bar(18000, 18010, 17990, 18000)).position.enters


def test_a_position_whose_session_had_no_last_bar_leaves_at_the_next_open_without_blame() -> None:
    outcome = after(entered(), HOLD, bar(17900, 17950, 17890, 17940, starts=True))
    assert money(outcome) == pytest.approx(("session_end", 17899.75, -2012.5))
    assert not outcome.broken.flat_by_close
    assert outcome.broken.daily_loss  # the gap counts against the day that it opens


def test_slippage_counts_before_a_limit_is_judged() -> None:
    # at 17,950.50 the account is down 20 x 49.75 + 2.50 = 997.50, and leaving costs 5 more
    outcome = after(entered(trading=WIDE), HOLD, bar(17990, 17995, 17950.5, 17990), trading=WIDE)
    assert outcome.broken.daily_loss
    assert outcome.account.equity == pytest.approx(50_000 - 1002.5)


TENTHS = FuturesTrading.model_validate(
    {
        "contract": {"point_value_usd": 5, "tick_size": 0.1},
        "brackets": {"unit": "ticks", "stop": 37, "target": 53},
        "costs": {"slippage_ticks": 1},
    }
)


@given(st.integers(15_000, 25_000), st.booleans())
def test_an_exact_touch_counts_whatever_floating_point_makes_of_a_tenth(
    tick: int, is_stop: bool
) -> None:
    first = Bar(tick / 10, tick / 10, tick / 10, tick / 10, 1.0, False, False)
    account = after(new_account(0.0, 50_000.0), BUY, first, 1.0, TENTHS).account
    here, low = tick / 10, (tick + 1 - 37) / 10 if is_stop else tick / 10
    high = here if is_stop else (tick + 1 + 53 + 1) / 10
    touched = after(account, HOLD, Bar(here, high, low, here, 1.0, False, False), 1.0, TENTHS)
    assert EXITS[int(touched.exit.kind)] == ("stop" if is_stop else "target")
    missed = Bar(here, high - 0.1, low + 0.1, here, 1.0, False, False)
    assert EXITS[int(after(account, HOLD, missed, 1.0, TENTHS).exit.kind)] == "none"


def test_a_limit_broken_in_the_bar_of_a_target_counts_before_the_target() -> None:
    outcome = after(entered(trading=WIDE), HOLD, bar(17990, 18200, 17945, 18150), trading=WIDE)
    assert EXITS[int(outcome.exit.kind)] == "liquidation"


def test_more_contracts_than_allowed_break_a_rule_and_are_not_bought() -> None:
    outcome = after(new_account(0.0, 50_000.0), BUY, bar(18000, 18010, 17990, 18005), 1.0, BIG)
    assert outcome.position.breaks_limit
    assert outcome.account.side == 0
    assert outcome.account.barred == 1
    allowed = after(new_account(0.0, 50_000.0), BUY, bar(18000, 18010, 17990, 18005), 0.8, BIG)
    assert allowed.account.contracts == 3
    assert allowed.account.profit == -3 * 1.25


def test_only_a_position_that_the_end_must_close_breaks_the_rule_to_be_flat() -> None:
    assert after(entered(), HOLD, bar(18000, 18020, 17990, 18012, ends=True)).broken.flat_by_close
    by_stop = after(entered(), HOLD, bar(17990, 17995, 17980, 17990, ends=True))
    assert not by_stop.broken.flat_by_close


@pytest.mark.parametrize(
    ("distance", "expected"), [(0.0, 0.25), (0.3, 0.25), (0.375, 0.5), (19.99, 20.0)]
)
def test_distances_are_whole_ticks_and_one_at_least(distance: float, expected: float) -> None:
    assert on_tick(distance, 0.25) == expected


def test_brackets_in_ticks_do_not_ask_the_atr() -> None:
    ticks = FuturesTrading.model_validate(
        {"brackets": {"unit": "ticks", "stop": 80, "target": 120}}
    )
    account = entered(trading=ticks)
    assert (account.stop_price, account.target_price) == (17980.25, 18030.25)


def test_the_features_of_an_account_by_hand() -> None:
    account = entered()._replace(equity=49_500.0, peak_equity=50_750.0, held_bars=60.0)
    columns = Account(*(np.array([float(figure)]) for figure in account))
    seen = bracket_features(
        columns, np.array([18010.25]), np.array([9.9975]), NQ.terms, NQ.rulebook, np.tanh
    )
    # 10 points above entry, 30 above the stop, 20 below the target, in units of 10 points
    assert [float(each[0]) for each in seen] == pytest.approx(
        [1.0, 1.0, 3.0, 2.0, np.tanh(1.0), 0.5, 0.5, 0.0]
    )


prices = st.floats(-30, 30).map(lambda move: round(move * 4) / 4)
steps = st.lists(
    st.tuples(st.sampled_from([HOLD, BUY, SELL]), st.floats(0, 1), prices, prices, prices),
    min_size=1,
    max_size=60,
)


def as_bar(last: float, moves: tuple[float, float, float], *, starts: bool, ends: bool) -> Bar:
    opens, closes = last + moves[0], last + moves[0] + moves[1]
    reach = abs(moves[2])
    return bar(
        opens,
        max(opens, closes) + reach,
        min(opens, closes) - reach,
        closes,
        starts=starts,
        ends=ends,
    )


@given(steps, st.integers(2, 20))
def test_cash_is_conserved_to_the_cent_over_random_orders(
    path: list[tuple[int, float, float, float, float]], session: int
) -> None:
    """What the account has is what its fills, looked at one by one, leave: no cent more or less."""
    account, last, cents = new_account(0.0, 50_000.0), 18_000.0, 5_000_000
    for t, (action, strength, *moves) in enumerate(path):
        of = as_bar(
            last, (moves[0], moves[1], moves[2]), starts=t % session == 0,
            ends=t % session == session - 1,
        )  # fmt: skip
        before = account
        outcome = after(before, action, of, strength, BIG)
        account, last = outcome.account, of.close
        position = outcome.position
        if position.enters:
            cents -= round(125 * position.contracts)
        if outcome.exit.kind > 0:
            points = position.side * (outcome.exit.price - position.entry_price)
            cents += round(2000 * points * position.contracts) - round(125 * position.contracts)
        open_points = account.side * (of.close - account.entry_price)
        marked = cents + round(2000 * open_points * account.contracts)
        assert round(100 * account.equity, 6) == marked
        assert not (account.side and of.ends)
        assert account.contracts <= 3
        assert account.peak_equity >= account.equity


@given(steps)
def test_the_same_source_gives_the_same_account_for_floats_and_for_tensors(
    path: list[tuple[int, float, float, float, float]],
) -> None:
    single, last = new_account(0.0, 50_000.0), 18_000.0
    many: Any = new_account(torch.zeros(2, dtype=torch.float64), 50_000.0)
    for action, strength, *moves in path:
        of = as_bar(last, (moves[0], moves[1], moves[2]), starts=False, ends=False)
        last = of.close
        single = after(single, action, of, strength).account
        both = Bar(*(torch.tensor([value, value]) for value in of))
        many = trade_bar(
            many, torch.tensor([action, action]), torch.tensor([strength] * 2, dtype=torch.float64),
            both, NQ.terms, NQ.rulebook,
        ).account  # fmt: skip
        for name, expected, found in zip(Account._fields, single, many, strict=True):
            assert found.tolist() == pytest.approx([expected] * 2), name


def test_an_order_of_exactly_the_limit_keeps_the_rule() -> None:
    outcome = after(new_account(0.0, 50_000.0), BUY, bar(18000, 18010, 17990, 18005), 0.75, BIG)
    assert outcome.account.contracts == 3
    assert not outcome.position.breaks_limit
    assert outcome.account.barred == 0


def test_holding_breaks_no_limit_however_strongly() -> None:
    outcome = after(new_account(0.0, 50_000.0), HOLD, bar(18000, 18010, 17990, 18005), 1.0, BIG)
    assert not outcome.position.breaks_limit
    assert outcome.account.barred == 0


def test_the_worst_of_a_bar_counts_the_commission_of_getting_out_once() -> None:
    outcome = after(entered(trading=WIDE), HOLD, bar(17990, 17995, 17950.75, 17990), trading=WIDE)
    assert not outcome.broken.daily_loss  # 20 x 49.75 + 2.50 = 997.50 of 1,000


def test_costs_are_those_of_the_fills_that_a_bar_had() -> None:
    def cost(of: Bar, action: int = HOLD, account: Account | None = None) -> float:
        return float(after(entered() if account is None else account, action, of).cost)

    assert cost(bar(17990, 17995, 17980, 17990)) == 1.25 + 20 * 0.25  # stop: a tick of slippage
    assert cost(bar(18000, 18030.5, 17995, 18020)) == 1.25  # target: a limit order has none
    flat = new_account(0.0, 50_000.0)
    assert cost(bar(18000, 18001, 17980, 17990), BUY, flat) == 2 * (1.25 + 5)  # in, and stopped


def features_of(trading: FuturesTrading, close: float, **changes: float) -> list[float]:
    account = entered()._replace(**changes)
    columns = Account(*(np.array([float(each)]) for each in account))
    seen = bracket_features(
        columns, np.array([close]), np.array([9.9975]), trading.terms, trading.rulebook, np.tanh
    )
    return [float(each[0]) for each in seen]


def test_what_a_state_says_of_the_account_is_scaled_and_clipped() -> None:
    assert features_of(BIG, 18010.25, contracts=2.0)[0] == 0.5  # of 4
    assert features_of(NQ, 18250.25)[1:4] == [10.0, 10.0, -10.0]
    assert features_of(NQ, 17000.0)[1:4] == [-10.0, -10.0, 10.0]
    fallen = features_of(
        NQ, 18010.25, equity=40_000.0, peak_equity=60_000.0, session_equity=60_000.0
    )
    assert fallen[5:7] == [2.0, 2.0]
    assert features_of(NQ, 18010.25, equity=60_000.0, session_equity=50_000.0)[6] == -2.0
    assert features_of(NQ, 18010.25, barred=1.0)[7] == 1.0
