"""Technical indicators of a bar series, each known at the close of its bar.

Every value depends on that bar and earlier ones only; the first bars, where a window is not yet
full, are NaN. Shapes: B bars.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import talib
from numpy.typing import NDArray

Array = NDArray[np.float64]

VOLATILITY_WINDOW_BARS = 24
MOMENTUM_WINDOW_BARS = 20


@dataclass(frozen=True)
class Indicators:
    """The indicators of a market, each a float64 column of shape (B,)."""

    simple_return: Array  # close / previous close - 1
    rsi: Array  # RSI(14) / 100, 0..1
    macd_signal: Array  # MACD(12, 26) line minus its 9-bar signal line, in ATR(14)
    bollinger_width: Array  # 20-bar band of +-2 sd, as a fraction of its middle
    volume_ratio: Array  # volume / its 20-bar mean; 0 where nothing traded for 20 bars
    volatility: Array  # sd of log returns over 24 bars, per bar
    momentum: Array  # 20-bar log return, in standard deviations of 20 bars
    atr_fraction: Array  # ATR(14) / close
    adx: Array  # ADX(14) / 100, 0..1, strength of trend


def compute_indicators(bars: pd.DataFrame) -> Indicators:
    """All indicators in one pass over the columns.

    Args:
        bars: frame that meets the bar contract.
    """
    high, low, close, volume = (
        bars[name].to_numpy() for name in ("high", "low", "close", "volume")
    )
    log_return = _lagged_difference(np.log(close), 1)
    # TA-Lib takes NaN as a value, so the undefined first return is set aside and put back
    volatility = np.concatenate(
        [[np.nan], _window(talib.STDDEV, log_return[1:], VOLATILITY_WINDOW_BARS)]
    )
    momentum = _lagged_difference(np.log(close), MOMENTUM_WINDOW_BARS)
    macd, signal, _ = talib.MACD(close, 12, 26, 9)
    upper, middle, lower = talib.BBANDS(close, 20, 2.0, 2.0)
    volume = np.nan_to_num(volume)  # of a market that reports none: a ratio of 0 throughout
    mean_volume = talib.SMA(volume, 20)
    atr = talib.ATR(high, low, close, 14)
    return Indicators(
        simple_return=np.expm1(log_return),
        rsi=talib.RSI(close, 14) / 100,
        macd_signal=_ratio(macd - signal, atr),
        bollinger_width=(upper - lower) / middle,
        volume_ratio=_ratio(volume, mean_volume),
        volatility=volatility,
        momentum=_ratio(momentum, volatility * np.sqrt(MOMENTUM_WINDOW_BARS)),
        atr_fraction=atr / close,
        adx=talib.ADX(high, low, close, 14) / 100,
    )


def _window(function: object, values: Array, length: int) -> Array:
    """Apply a TA-Lib window function, which refuses an empty array."""
    return function(values, length) if len(values) else values  # type: ignore[operator]


def _lagged_difference(values: Array, lag: int) -> Array:
    return np.concatenate([np.full(min(lag, len(values)), np.nan), values[lag:] - values[:-lag]])


def _ratio(numerator: Array, denominator: Array) -> Array:
    """Quotient that is 0 where the denominator is 0: nothing moved or nothing traded."""
    return np.divide(
        numerator, denominator, out=np.zeros_like(numerator), where=~(np.abs(denominator) < 1e-12)
    )
