"""How an order becomes a fill. Written once, for a scalar in numba and for a batch in torch.

The functions use operators alone, so that the same source is compiled into the backtest's loop
and broadcast over the accounts of an environment. Conditions are written as products.
"""

from typing import NamedTuple

from numba.extending import register_jitable

from rl_core.trading.terms import CostRates, Number


class Fill(NamedTuple):
    """An account after the open at which it may have traded."""

    cash: Number
    units: Number
    price: Number  # paid or received, before commission
    traded_units: Number  # > 0 bought, < 0 sold, 0 nothing
    cost: Number  # equity lost: commission, slippage, spread and impact


@register_jitable
def choose(condition: Number, if_true: Number, if_false: Number) -> Number:
    """`where` by products: exact as long as both choices are finite.

    Adding 0 times a choice keeps its precision: a condition alone would become float32 in torch.
    """
    chosen = 0.0 * if_false + condition * 1.0
    return chosen * if_true + (1.0 - chosen) * if_false


@register_jitable
def rebalance(
    cash: Number,
    units: Number,
    is_order: Number,
    target: Number,
    price: Number,
    impact_scale: Number,
    rates: CostRates,
    half_spread: Number,
) -> Fill:
    """Trade so that `target` of the equity that is left after costs is held in the asset.

    Args:
        cash: quote currency.
        units: held, negative when short.
        is_order: False keeps the units whatever the target says.
        target: fraction of equity, -1 to 1.
        price: the open at which the order fills, before costs.
        impact_scale: impact rate of a trade of value 1.
        rates: what trading costs.
        half_spread: quoted at this open, fraction of the price, besides what the rates have.

    A change smaller than the rebalance band is not traded, but going flat always is. With value x
    bought at cost rate k, held + x = target (equity - k x), so x = wanted / (1 + k target); the
    impact in k is that of the wanted value.
    """
    held = units * price
    equity = cash + held
    wanted = target * equity - held
    is_traded = (
        is_order & ((abs(wanted) >= rates.rebalance_band * equity) | (target == 0)) & (wanted != 0)
    )
    side = 0.0 * price + is_traded * ((wanted > 0) * 1.0 - (wanted < 0) * 1.0)

    impact = impact_scale * abs(wanted) ** 0.5
    impact = choose(impact >= rates.max_impact, rates.max_impact, impact)
    price_cost = rates.price_cost + half_spread + impact
    cost_rate = side * ((1 + side * price_cost) * (1 + side * rates.commission) - 1)
    value = wanted / (1 + side * cost_rate * target)

    units_after = choose(is_traded, (held + value) / price, units)
    traded_units = units_after - units
    fill_price = price * (1 + side * price_cost)
    commission = abs(traded_units) * fill_price * rates.commission
    cash_after = cash - traded_units * fill_price - commission
    cost = commission + abs(traded_units) * price * price_cost
    return Fill(cash_after, units_after, fill_price, traded_units, cost)
