"""Performance of an equity curve and of the round trips behind it.

Shapes: T bars; equity has T entries, positions T - 1 (the one held from bar t to t + 1).
"""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rl_core.base.units import NS_PER_YEAR

Array = NDArray[np.float64]

CONFIDENCE = 0.95
SMALLEST_SD = 1e-12  # below it an account did not move, and a ratio to it says nothing


class Performance(BaseModel):
    """Figures of one account over one span; rates are fractions, None where undefined."""

    model_config = ConfigDict(frozen=True)

    total_return: float
    annual_return: float | None
    annual_volatility: float
    sharpe: float | None  # annual, no risk-free rate
    sharpe_standard_error: float | None  # annual, by the returns' skewness and kurtosis
    sharpe_low: float | None = None  # ends of the 95% interval, annual: by that error, or by the
    sharpe_high: float | None = None  # gate's bootstrap, which knows of autocorrelation
    sortino: float | None
    max_drawdown: float  # 0..1, fraction of peak equity
    round_trips: int
    win_rate: float | None
    profit_factor: float | None  # gross profit / gross loss
    annual_turnover: float  # traded value / mean equity, per year
    costs_paid: float  # fraction of the initial equity
    exposure: float  # share of bars with a position
    rule_violations: dict[str, int] = {}  # by rule, where the account has a rulebook
    note: str = ""  # what it is, where its name does not say so


def bar_returns(equity: Array) -> Array:
    """Returns (T - 1,) of an account's equity (T,); nothing is earned on nothing."""
    solvent = np.minimum.accumulate(equity)[:-1] > 0
    before = np.where(solvent, equity[:-1], 1.0)
    return np.where(solvent, equity[1:] / before - 1, 0.0)


def annual_factor(ns: NDArray[np.int64]) -> float:
    """Bars a year, given the timestamps (T,) of a span."""
    return (len(ns) - 1) / max(float(ns[-1] - ns[0]) / NS_PER_YEAR, 1e-9)


def sharpe_standard_error(
    sharpe: float, observations: int, skewness: float = 0.0, kurtosis_: float = 3.0
) -> float:
    """Standard error of a Sharpe ratio per bar, as if returns were independent.

    Args:
        sharpe: per bar.
        observations: T returns.
        skewness: of the returns; 0 if normal.
        kurtosis_: of the returns; 3 if normal.

    Source: Mertens (2002); with 0 and 3 it is Lo (2002), eq. 9.
    """
    variance = 1 - skewness * sharpe + (kurtosis_ - 1) / 4 * sharpe**2
    return float(np.sqrt(max(variance, 0.0) / max(observations - 1, 1)))


def moments(returns: Array) -> tuple[float, float]:
    """Skewness and kurtosis (3 if normal) of returns (T,) that vary."""
    from scipy.stats import kurtosis, skew  # half a second that serving does without

    return float(skew(returns)), float(kurtosis(returns, fisher=False))


def sharpe_error_of(returns: Array, sharpe: float) -> float:
    """Standard error of a ratio that was found in returns (T,)."""
    return sharpe_standard_error(sharpe, len(returns), *moments(returns))


def around(value: float, error: float) -> tuple[float, float]:
    """Ends of a 95% interval by the normal distribution."""
    from scipy.stats import norm

    half = float(norm.ppf(0.5 + CONFIDENCE / 2)) * error
    return value - half, value + half


def summarise(
    ns: NDArray[np.int64],
    equity: Array,
    is_held: NDArray[np.bool_] | Array,
    trade_profits: Array,
    traded_value: Array,
    costs: Array,
    rule_violations: Mapping[str, int] | None = None,
) -> Performance:
    """Summary of an account.

    Args:
        ns: (T,) bar timestamps in nanoseconds.
        equity: (T,) marked at each close; the first is the initial equity.
        is_held: (T - 1,) was there a position in bar t + 1? Zero is none.
        trade_profits: one a trade, costs included.
        traded_value: (T - 1,) absolute value traded at that fill.
        costs: (T - 1,) paid at that fill and over that bar.
        rule_violations: by rule.
    """
    returns = bar_returns(equity)
    years = max(float(ns[-1] - ns[0]) / NS_PER_YEAR, 1e-9)
    per_year = annual_factor(ns)
    volatility = float(returns.std())
    downside = float(np.sqrt(np.mean(np.minimum(returns, 0) ** 2)))
    mean = float(returns.mean())
    sharpe = _ratio(mean, volatility)
    annual = np.sqrt(per_year)
    error = None if sharpe is None else sharpe_error_of(returns, sharpe) * annual
    low, high = (None, None) if sharpe is None or error is None else around(sharpe * annual, error)
    growth = float(equity[-1] / equity[0])
    profits = trade_profits
    gross_profit, gross_loss = float(profits[profits > 0].sum()), -float(profits[profits < 0].sum())
    return Performance(
        total_return=growth - 1,
        annual_return=_annual_return(growth, years),
        annual_volatility=volatility * annual,
        sharpe=None if sharpe is None else sharpe * annual,
        sharpe_standard_error=error,
        sharpe_low=low,
        sharpe_high=high,
        sortino=_ratio(mean * annual, downside),
        max_drawdown=float((1 - equity / np.maximum.accumulate(equity)).max()),
        round_trips=len(profits),
        win_rate=float((profits > 0).mean()) if len(profits) else None,
        profit_factor=_ratio(gross_profit, gross_loss),
        annual_turnover=float(traded_value.sum() / equity.mean() / years),
        costs_paid=float(costs.sum() / equity[0]),
        exposure=float((is_held != 0).mean()),
        rule_violations=dict(rule_violations or {}),
    )


def _annual_return(growth: float, years: float) -> float | None:
    """Compound annual growth; undefined for a lost account or a span under a month."""
    return growth ** (1 / years) - 1 if growth > 0 and years >= 1 / 12 else None


def _ratio(numerator: float, denominator: float) -> float | None:
    return numerator / denominator if denominator > SMALLEST_SD else None


def round_trip_profits(equity: Array, position_units: Array, equity_after_fill: Array) -> Array:
    """Profit of each stretch with a position of one sign, costs included, in order of opening.

    A closing fill's price move and cost belong to the trip that it closes, an opening fill's cost
    to the trip that it opens. An open position at the end counts as a trip.
    """
    sign = np.sign(position_units)
    before = np.concatenate([[0.0], sign[:-1]])
    opens = (sign != 0) & (sign != before)
    trip = np.cumsum(opens) - 1  # of the position held after the fill
    trip_before = np.where(before != 0, np.concatenate([[-1], trip[:-1]]), trip)
    at_fill = equity_after_fill - equity[:-1]
    after_fill = equity[1:] - equity_after_fill
    profits = np.zeros(int(opens.sum()))
    touches = (before != 0) | (sign != 0)
    np.add.at(profits, trip_before[touches], at_fill[touches])
    np.add.at(profits, trip[sign != 0], after_fill[sign != 0])
    return profits
