"""A futures account through one bar: an entry with its stop-loss and take-profit, and the rulebook.

Written once, with operators alone, for a scalar in numba and for a batch in torch; see `fills.py`.

What happens inside a bar is not known, so the order is fixed here, and it is the worst one:

1. The bar opens. An order of the last close fills, `slippage` against us; a stop that the open has
   jumped over fills at the open; a position that was held as long as allowed leaves, and so does
   one from the last session, whose end had no bar.
2. The stop, also if the bar touches the target as well.
3. Liquidation, if the bar's worst price, slippage included, breaks a limit of the rulebook.
4. The target, at its price and no better, if the bar trades `target_through` beyond it.
5. The session or the contract ends: what is open leaves at the close.

A broken rule bars the account from trading to the session's end; one that had to be closed by the
session's end is barred for the next session. After a trailing-drawdown breach the peak is
reset at the next session open: trading continues as a new funded account. An entry
holds until one of these; a further order in its direction does nothing, one against it (or of no
contracts) closes it, and only a later one may enter again.
"""

from typing import Any, NamedTuple

from numba.extending import register_jitable

from rl_core.trading.accounts import BUY, HOLD, SELL
from rl_core.trading.fills import choose
from rl_core.trading.terms import Number, Rulebook, Terms

EXITS = ("none", "order", "stop", "liquidation", "target", "session_end")
NO_EXIT, ORDER, STOP, LIQUIDATION, TARGET, SESSION_END = range(len(EXITS))
FREE, BARRED, BARRED_BY_DRAWDOWN, BARRED_TOMORROW = range(4)
ROUNDING = 0.1  # of a tick: what floating-point prices may differ by and still be equal


class Account(NamedTuple):
    """A futures account at the close of a bar."""

    profit: Number  # USD realised so far, commissions paid
    side: Number  # -1, 0, 1
    contracts: Number  # >= 0
    entry_price: Number  # 0 when flat, and so are the next two
    stop_price: Number
    target_price: Number
    held_bars: Number  # closes seen with this position
    equity: Number  # USD, marked
    peak_equity: Number  # USD, highest at a close
    session_equity: Number  # USD at the session's start
    barred: Number  # FREE, BARRED ...


class Bar(NamedTuple):
    """Prices of the bar after a decision."""

    open: Number
    high: Number
    low: Number
    close: Number
    atr: Number  # points, known at the decision
    starts: Number  # bool, first of a session or contract: the order of the last close is void
    ends: Number  # bool, last of a session by the calendar, or of a contract


class Position(NamedTuple):
    """What is held while the bar goes on, after its open; side 0 is nothing."""

    side: Number
    contracts: Number
    entry_price: Number
    stop_price: Number
    target_price: Number
    enters: Number  # bool, with this bar's open
    leaves: Number  # bool, at this bar's open, because of an order or its age
    breaks_limit: Number  # bool, the order was for more contracts than allowed


class Broken(NamedTuple):
    """Which rules a bar broke; bool each."""

    trailing_drawdown: Number
    daily_loss: Number
    contract_limit: Number
    flat_by_close: Number


RULES = Broken._fields


class Exit(NamedTuple):
    """How a position ended in a bar, if it did."""

    kind: Number  # place in EXITS
    price: Number  # read only where there is an exit
    broke_drawdown: Number  # bool
    broke_daily_loss: Number  # bool


class Outcome(NamedTuple):
    """What a bar did to an account."""

    account: Account
    position: Position
    exit: Exit
    broken: Broken
    trade_pnl: Number  # USD of the trade that an exit ended, both commissions paid
    cost: Number  # USD of commission and slippage in this bar


def new_account(zero: Any, initial_cash: float) -> Account:
    """An account with nothing but cash; `zero` is 0.0 or a tensor of zeros."""
    cash = zero + initial_cash
    return Account(zero, zero, zero, zero, zero, zero, zero, cash, cash, cash, zero)


@register_jitable
def on_tick(distance: Number, tick: Number) -> Number:
    """A distance in whole ticks, one at least."""
    rounded = (distance / tick + 0.5) // 1 * tick
    return choose(rounded < tick, tick, rounded)


@register_jitable
def trade_bar(
    before: Account, action: Number, strength: Number, bar: Bar, terms: Terms, rules: Rulebook
) -> Outcome:
    """Carry out the decision of the last close, then live through the bar.

    Args:
        before: at the close of the decision.
        action: HOLD, BUY or SELL.
        strength: in [0, 1]; times `max_contracts`, rounded, gives the contracts of an entry.
        bar: the next one.
        terms: of the contract.
        rules: of the account.
    """
    account = begin_bar(before, bar)
    position = fill_order(account, action, strength, bar, terms, rules)
    money = position.side * position.contracts * terms.point_value
    half_commission = 0.5 * terms.commission * position.contracts
    profit = account.profit - choose(position.enters, half_commission, 0.0 * half_commission)
    exited = leave(account, position, profit, bar, terms, rules)

    closes = exited.kind > 0
    gain = money * (exited.price - position.entry_price)
    profit = profit + choose(closes, gain - half_commission, 0.0 * gain)
    stays = choose(closes, 0.0 * position.side, position.side * position.side)
    equity = rules.initial_cash + profit + stays * money * (bar.close - position.entry_price)
    broken = Broken(
        trailing_drawdown=exited.broke_drawdown,
        daily_loss=exited.broke_daily_loss,
        contract_limit=position.breaks_limit,
        flat_by_close=(exited.kind == SESSION_END) & bar.ends & (rules.flat_by_close > 0),
    )
    after = Account(
        profit=profit,
        side=stays * position.side,
        contracts=stays * position.contracts,
        entry_price=stays * position.entry_price,
        stop_price=stays * position.stop_price,
        target_price=stays * position.target_price,
        held_bars=stays * (choose(position.enters, 0.0 * profit, account.held_bars) + 1.0),
        equity=equity,
        peak_equity=choose(equity > account.peak_equity, equity, account.peak_equity),
        session_equity=account.session_equity,
        barred=barred_by(broken, account.barred),
    )
    fills = position.enters * 1.0 + closes * 1.0
    slipped = fills - (exited.kind == TARGET) * 1.0
    slippage = slipped * position.contracts * terms.point_value * terms.slippage
    return Outcome(
        account=after,
        position=position,
        exit=exited,
        broken=broken,
        trade_pnl=gain - 2.0 * half_commission,
        cost=fills * half_commission + slippage,
    )


@register_jitable
def barred_by(broken: Broken, barred: Number) -> Number:
    """How an account is barred after a bar."""
    nothing = 0.0 * barred
    after = choose(broken.daily_loss | broken.contract_limit, BARRED + nothing, barred)
    after = choose(broken.flat_by_close, BARRED_TOMORROW + nothing, after)
    return choose(broken.trailing_drawdown, BARRED_BY_DRAWDOWN + nothing, after)


@register_jitable
def begin_bar(before: Account, bar: Bar) -> Account:
    """A session that begins takes its own measure and lifts yesterday's bar."""
    is_new = bar.starts & (before.barred == BARRED_BY_DRAWDOWN)
    today = (before.barred == BARRED_TOMORROW) * BARRED + 0.0 * before.barred
    return Account(
        profit=before.profit,
        side=before.side,
        contracts=before.contracts,
        entry_price=before.entry_price,
        stop_price=before.stop_price,
        target_price=before.target_price,
        held_bars=before.held_bars,
        equity=before.equity,
        peak_equity=choose(is_new, before.equity, before.peak_equity),
        session_equity=choose(bar.starts, before.equity, before.session_equity),
        barred=choose(bar.starts, today, before.barred),
    )


@register_jitable
def fill_order(
    account: Account, action: Number, strength: Number, bar: Bar, terms: Terms, rules: Rulebook
) -> Position:
    """The open: an order enters or leaves, and a position that is too old leaves."""
    wanted_side = (action == BUY) * 1.0 - (action == SELL) * 1.0
    wanted = (strength * terms.max_contracts + 0.5) // 1
    is_order = (action != HOLD) & (bar.starts == 0) & (account.barred == FREE)
    is_flat = account.side == 0
    enters = is_order & is_flat & (wanted > 0) & (wanted <= rules.contract_limit)
    side = choose(enters, wanted_side, account.side)
    entry = choose(enters, bar.open + wanted_side * terms.slippage, account.entry_price)
    stop_distance = on_tick(terms.stop_atr * bar.atr + terms.stop_points, terms.tick)
    target_distance = on_tick(terms.target_atr * bar.atr + terms.target_points, terms.tick)
    is_against = is_order & ((wanted_side * account.side < 0) | (wanted == 0))
    is_old = (account.held_bars >= terms.max_holding_bars) | bar.starts
    return Position(
        side=side,
        contracts=choose(enters, wanted, account.contracts),
        entry_price=entry,
        stop_price=choose(enters, entry - side * stop_distance, account.stop_price),
        target_price=choose(enters, entry + side * target_distance, account.target_price),
        enters=enters,
        leaves=(account.side != 0) & (is_against | is_old),
        breaks_limit=is_order & is_flat & (wanted > rules.contract_limit),
    )


@register_jitable
def leave(
    account: Account, position: Position, profit: Number, bar: Bar, terms: Terms, rules: Rulebook
) -> Exit:
    """The first of the ways out, in the order that the module's docstring fixes."""
    side, rounding = position.side, ROUNDING * terms.tick
    is_open = side != 0
    adverse = choose(side > 0, bar.low, bar.high)
    favourable = choose(side > 0, bar.high, bar.low)
    is_gap = is_open & (side * (bar.open - position.stop_price) <= rounding)
    at_open = position.leaves | is_gap
    is_stopped = is_open & (at_open == 0) & (side * (adverse - position.stop_price) <= rounding)
    is_out = at_open | is_stopped
    early_price = choose(at_open, bar.open, position.stop_price) - side * terms.slippage

    # the rulebook looks at the worst price of the bar that the position lived to see
    worst_price = choose(is_out, early_price, adverse - side * terms.slippage)
    worst_equity = (
        rules.initial_cash + profit - 0.5 * terms.commission * position.contracts
        + side * position.contracts * terms.point_value * (worst_price - position.entry_price)
    )  # fmt: skip
    broke_drawdown = is_open & (worst_equity <= account.peak_equity - rules.trailing_drawdown)
    broke_daily_loss = is_open & (worst_equity <= account.session_equity - rules.daily_loss)
    is_liquidated = (is_out == 0) & (broke_drawdown | broke_daily_loss)

    stays = is_open & (is_out == 0) & (is_liquidated == 0)
    beyond = side * (favourable - position.target_price) - terms.target_through
    is_hit = stays & (beyond >= -rounding)
    is_ended = stays & (is_hit == 0) & bar.ends
    is_left_over = position.leaves & bar.starts  # from a session whose end had no bar
    kind = (
        ORDER * ((position.leaves & (bar.starts == 0)) * 1.0)
        + STOP * (((position.leaves == 0) & (is_gap | is_stopped)) * 1.0)
        + LIQUIDATION * (is_liquidated * 1.0)
        + TARGET * (is_hit * 1.0)
        + SESSION_END * ((is_ended | is_left_over) * 1.0)
    )
    late_price = choose(is_liquidated, adverse, bar.close) - side * terms.slippage
    late_price = choose(is_hit, position.target_price, late_price)
    return Exit(
        kind=kind,
        price=choose(is_out, early_price, late_price),
        broke_drawdown=broke_drawdown,
        broke_daily_loss=broke_daily_loss,
    )


def bracket_features(
    account: Any, close: Any, atr: Any, terms: Terms, rules: Rulebook, tanh: Any
) -> tuple[Any, ...]:
    """The account features of the state, in the order of `features.state.BRACKET_FEATURES`.

    Args:
        account: an `Account` of arrays or tensors (N,).
        close: (N,) last close.
        atr: (N,) points at that close.
        terms: of the contract.
        rules: of the account.
        tanh: `np.tanh` or `torch.tanh`, to match.
    """
    unit = account.side * account.side / (atr + 0.01 * terms.tick)  # 0 when flat
    to_entry = (close - account.entry_price) * account.side * unit
    to_stop = (close - account.stop_price) * account.side * unit
    to_target = (account.target_price - close) * account.side * unit
    drawdown = (account.peak_equity - account.equity) / rules.trailing_drawdown
    day_loss = (account.session_equity - account.equity) / rules.daily_loss
    return (
        (account.side * account.contracts / terms.max_contracts).clip(-1.0, 1.0),
        to_entry.clip(-10.0, 10.0),
        to_stop.clip(-10.0, 10.0),
        to_target.clip(-10.0, 10.0),
        tanh(account.held_bars / 60.0),
        drawdown.clip(0.0, 2.0),
        day_loss.clip(-2.0, 2.0),
        (account.barred > 0) * 1.0,
    )
