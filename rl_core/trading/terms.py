"""The numbers that a fill needs: plain floats, so that numba and torch both take them."""

from typing import Any, NamedTuple, TypeAlias

Number: TypeAlias = Any  # a float in the backtest, a tensor (N,) in an environment


class CostRates(NamedTuple):
    """The numbers that a fill needs; plain floats, so that numba and torch both take them."""

    commission: float  # fraction of the traded value
    price_cost: float  # slippage and half-spread, fraction of price, always against us
    max_impact: float  # fraction of price
    rebalance_band: float  # fraction of equity
    borrow_per_bar: float  # fraction of the short value


class RebalanceRates(NamedTuple):
    """The numbers that a fill needs."""

    fixed: float  # commission and half-spread, fraction of the traded value
    max_impact: float  # fraction of the traded value
    impact_of_share: float  # 1.0: impact counts the trade in shares of equity; 0.0: in money


class Terms(NamedTuple):
    """What trading one contract means; floats, or tensors () where a curriculum ramps them."""

    point_value: Number  # USD of one point of price
    tick: Number  # points
    commission: Number  # USD per contract and trade, half at each fill
    slippage: Number  # points, against us, on every fill but a target's
    stop_atr: Number  # distance of the stop: so many ATR ...
    stop_points: Number  # ... and so many points; one of them is 0
    target_atr: Number
    target_points: Number
    target_through: Number  # points beyond the target that a bar must trade for it to fill
    max_contracts: Number  # at strength 1
    max_holding_bars: Number


class Rulebook(NamedTuple):
    """Limits of a funded account, account currency."""

    initial_cash: float  # USD
    trailing_drawdown: float  # USD below the highest equity at a close
    daily_loss: float  # USD below the equity at the session's start
    contract_limit: float
    flat_by_close: float  # 1: a position that the session's end must close breaks a rule
