"""An account through one bar: a fill at the open, a mark at the close, its features."""

from typing import Any, NamedTuple

from numba.extending import register_jitable

from rl_core.trading.fills import Fill, choose, rebalance
from rl_core.trading.terms import CostRates, Number

HOLD, BUY, SELL = 0, 1, 2
ACTIONS = ("HOLD", "BUY", "SELL")
NEVER_TRADED_DAYS = 1e6  # so long ago that tanh of it is 1


class Mark(NamedTuple):
    """An account at the close of the bar in which its order filled."""

    cash: Number
    units: Number
    equity: Number
    borrow_cost: Number
    fill: Fill


@register_jitable
def target_position(
    action: Number, strength: Number, min_position: float, max_position: float
) -> Number:
    """Fraction of equity that an order wants: BUY +strength, SELL -strength, as the desk allows.

    With `min_position` 0 (no shorts) every SELL therefore means flat. HOLD is no order at all.
    """
    wanted = strength * ((action == BUY) * 1.0 - (action == SELL) * 1.0)
    wanted = choose(wanted > max_position, max_position, wanted)
    return choose(wanted < min_position, min_position, wanted)


@register_jitable
def trade_and_mark(
    cash: Number,
    units: Number,
    is_order: Number,
    target: Number,
    open_price: Number,
    close_price: Number,
    impact_scale: Number,
    rates: CostRates,
    half_spread: Number,
) -> Mark:
    """Fill at the open, pay for a short over the bar, mark at the close.

    An account that has lost everything is closed at the open, and then trades no more.
    """
    is_ruined = cash + units * open_price <= 0
    order_target = choose(is_ruined, 0.0, target)
    fill = rebalance(
        cash, units, is_order | is_ruined, order_target, open_price, impact_scale, rates,
        half_spread,
    )  # fmt: skip
    value = fill.units * close_price
    borrow_cost = choose(value < 0, -value * rates.borrow_per_bar, 0.0 * value)
    cash_after = fill.cash - borrow_cost
    return Mark(cash_after, fill.units, cash_after + value, borrow_cost, fill)


def account_features(
    cash: Any, units: Any, close: Any, days_since_trade: Any, tanh: Any
) -> tuple[Any, ...]:
    """The four account features of the state, in its order: see `features.state.ACCOUNT_FEATURES`.

    Args:
        cash: (N,) quote currency; an array, or a tensor on any device.
        units: (N,) held.
        close: (N,) last close.
        days_since_trade: (N,), very large before the first trade.
        tanh: `np.tanh` or `torch.tanh`, to match.
    """
    value = units * close
    equity = cash + value
    return (
        (value / equity).clip(-1.0, 1.0),
        abs(value) / equity,
        cash / equity,
        tanh(days_since_trade),
    )
