"""What a session knows of itself: its clock, trend, VWAP, gap and range. Shapes: B bars."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.features.indicators import Indicators
from rl_core.market.sessions import SessionClock

MINUTES_PER_HOUR = 60
LARGEST = 20.0  # of features in standard deviations or ATR


def session_features(
    bars: pd.DataFrame, indicators: Indicators, clock: SessionClock
) -> NDArray[np.float32]:
    """The columns of SESSION_FEATURES, (B, 7); NaN where the volatility is not yet known.

    Args:
        bars: with continuous prices.
        indicators: of these bars.
        clock: of these bars.
    """
    high, low, close = (bars[name] for name in ("high", "low", "close"))
    day = clock.session
    first = np.flatnonzero(np.diff(day, prepend=-1))
    open_price = bars["open"].to_numpy()[first][day]
    minutes = clock.minutes_since_open
    trend = np.log(close.to_numpy() / open_price)

    volume = bars["volume"].fillna(0.0)
    value = (high + low + close) / 3 * volume
    traded = volume.groupby(day).cumsum().to_numpy()
    vwap = np.divide(
        value.groupby(day).cumsum().to_numpy(), traded, out=close.to_numpy().copy(),
        where=traded > 0,
    )  # fmt: skip
    top, bottom = high.groupby(day).cummax().to_numpy(), low.groupby(day).cummin().to_numpy()
    atr = indicators.atr_fraction * close.to_numpy()
    columns = [
        minutes / (minutes + clock.minutes_to_close),
        np.tanh(clock.minutes_to_close / MINUTES_PER_HOUR),
        clock.is_regular,
        _in_units(trend, indicators.volatility * np.sqrt(minutes)),
        _in_units(close.to_numpy() - vwap, atr),
        overnight_gap(bars, indicators, first)[day],
        np.where(top > bottom, (close - bottom) / np.where(top > bottom, top - bottom, 1.0), 0.5),
    ]
    return np.column_stack(columns).astype(np.float32)


def overnight_gap(
    bars: pd.DataFrame, indicators: Indicators, first: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Log return from the last close to each session's open, in sd of an hour before it, (S,)."""
    before = first[1:] - 1
    gap = np.log(bars["open"].to_numpy()[first[1:]] / bars["close"].to_numpy()[before])
    hour_sd = indicators.volatility[before] * np.sqrt(MINUTES_PER_HOUR)
    return np.concatenate([[0.0], _in_units(gap, hour_sd)])


def _in_units(value: NDArray[np.float64], unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quotient within +-20; 0 where nothing moved."""
    quotient = np.divide(value, unit, out=np.zeros_like(value), where=~(np.abs(unit) < 1e-12))
    return np.clip(quotient, -LARGEST, LARGEST)
