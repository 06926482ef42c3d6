"""The market features of a universe, each known at a session's close.

Everything is summed up across the stocks that are listed, so 3 names and 500 give the same
columns. Shapes: T sessions, S stocks, P portfolios.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.features.regimes import VOLATILITY_REGIMES
from rl_core.kinds.portfolio.factors import Factors
from rl_core.kinds.portfolio.settings import FACTORS
from rl_core.market.panel import Listing
from rl_core.market.rolling import (
    row_medians,
    trailing_deviation,
    trailing_extremes,
    trailing_mean,
    trailing_sum,
)

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

LONGEST_WINDOW = 200  # sessions: no feature reaches further back, and before it none is complete
ROUNDING = 1e-9
NEUTRAL = 0.5  # breadth of a universe in which no stock is old enough


@dataclass(frozen=True)
class Index:
    """All listed stocks alike, rebalanced every session without costs."""

    returns: Array  # (T,)
    close: Array  # (T,) from 100


def equal_weight_index(factors: Factors, listed: Listing) -> Index:
    """The universe as one instrument: what targets, volatility regimes and trends refer to."""
    has_return = listed.trades & (factors.age > 0)
    returns = factors.returns.sum(axis=1) / np.maximum(has_return.sum(axis=1), 1)
    return Index(returns, 100 * np.cumprod(1 + returns))


def index_bars(timestamps: pd.Series, index: Index, listed: Listing) -> pd.DataFrame:
    """The index as bars: each opens at the last close, and its volume counts the stocks that trade.

    Args:
        timestamps: (T,).
        index: of the universe.
        listed: who trades.
    """
    opened = np.concatenate([index.close[:1], index.close[:-1]])
    return pd.DataFrame(
        {
            "timestamp": timestamps,
            "open": opened,
            "high": np.maximum(opened, index.close),
            "low": np.minimum(opened, index.close),
            "close": index.close,
            "volume": listed.trades.sum(axis=1).astype(np.float64),
        }
    )


def universe_features(
    factors: Factors,
    listed: Listing,
    portfolios: dict[str, Array],
    index: Index,
    regime: NDArray[np.int8],
    health: Array,
) -> NDArray[np.float32]:
    """The columns of `features.state.UNIVERSE_FEATURES`, (T, 50); NaN in the warm-up.

    Args:
        factors: of the universe.
        listed: who is listed.
        portfolios: (T, S) weights of each factor's half, known at each close.
        index: of the universe.
        regime: (T,) index into VOLATILITY_REGIMES, -1 where unknown.
        health: (T,) in 0..1.
    """
    one_hot = (regime[:, None] == np.arange(len(VOLATILITY_REGIMES))).astype(np.float64)
    one_hot[regime < 0] = np.nan
    columns = [
        *(column for name in FACTORS for column in _factor(name, factors, portfolios[name], index)),
        *_breadth(factors, listed),
        *_trend(index),
        *_volatility(factors, index),
        *one_hot.T,
        health,
        np.log10(np.maximum(listed.is_listed.sum(axis=1), 1)) / 3,
    ]
    table = np.column_stack(columns).astype(np.float32)
    table[:LONGEST_WINDOW] = np.nan
    return table


def _factor(name: str, factors: Factors, portfolio: Array, index: Index) -> list[Array]:
    """Spread and lean of the scores, and how the preferred half has done."""
    score = factors.scores[name]
    known = np.isfinite(score)
    mean = _mean(np.nan_to_num(score), known)
    spread = np.sqrt(_mean(np.where(known, score - mean[:, None], 0.0) ** 2, known))
    median = np.nan_to_num(row_medians(score))
    skew = np.divide(mean - median, spread, out=np.zeros_like(mean), where=spread > 0)
    lead = np.zeros(len(score))
    lead[1:] = (portfolio[:-1] * factors.returns[1:]).sum(axis=1) - index.returns[1:]
    lead[1:][portfolio[:-1].sum(axis=1) == 0] = 0.0
    turnover = np.zeros(len(score))
    turnover[5:] = np.abs(portfolio[5:] - portfolio[:-5]).sum(axis=1) / 2
    return [
        spread,
        np.clip(skew, -3, 3),
        *(trailing_sum(lead, window) for window in (5, 20, 60)),
        turnover,
    ]


def _breadth(factors: Factors, listed: Listing) -> list[Array]:
    price, age = listed.price, factors.age
    above = [
        _share(price > trailing_mean(price, window) * (1 + ROUNDING), age >= window - 1)
        for window in (20, 50, 200)
    ]
    has_return = age > 0
    rising = _share(factors.returns > 0, has_return)
    falling = _share(factors.returns < 0, has_return)
    is_old = age >= 19
    highest, lowest = trailing_extremes(price, 20)
    return [
        *above,
        rising,
        trailing_sum(rising - falling, 10) / 10,
        _share(price >= highest, is_old),
        _share(price <= lowest, is_old),
    ]


def _trend(index: Index) -> list[Array]:
    close = index.close
    lags = [np.concatenate([np.zeros(lag), index.returns[: len(close) - lag]]) for lag in range(5)]
    highest = trailing_extremes(close[:, None], LONGEST_WINDOW)[0][:, 0]
    return [
        *lags,
        _growth(close, 20),
        _growth(close, 60),
        np.log(close / trailing_mean(close[:, None], LONGEST_WINDOW)[:, 0]),
        1 - close / highest,
    ]


def _volatility(factors: Factors, index: Index) -> list[Array]:
    short, long = (trailing_deviation(index.returns, window) for window in (20, 60))
    known = np.isfinite(factors.volatility)
    stocks = np.nan_to_num(factors.volatility)
    variance = _mean(stocks**2, known)
    has_return = factors.age > 0
    distance = np.where(has_return, factors.returns - index.returns[:, None], 0.0)
    across = np.sqrt(_mean(distance**2, has_return))
    return [
        100 * short,
        np.divide(short, long, out=np.ones_like(short), where=long > ROUNDING),
        100 * _mean(stocks, known),
        np.clip(np.divide(short**2, variance, out=np.zeros_like(short), where=variance > 0), 0, 1),
        100 * trailing_sum(across, 20) / 20,
    ]


def _mean(values: Array, known: Flags) -> Array:
    """Across the stocks that are known, (T,); 0 where none is. Unknown values must be 0."""
    return np.where(known, values, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)


def _share(holds: Flags, asked: Flags) -> Array:
    """Share of the asked stocks for which it holds, (T,)."""
    number = asked.sum(axis=1)
    return np.where(number > 0, (holds & asked).sum(axis=1) / np.maximum(number, 1), NEUTRAL)


def _growth(close: Array, sessions: int) -> Array:
    growth = np.zeros(len(close))
    growth[sessions:] = close[sessions:] / close[:-sessions] - 1
    return growth
