"""The 34-feature state: 30 market features per bar, then 4 account features per step.

One table names every feature with its range and source; its order is the order of the columns
everywhere: in the dataset, on the device and in front of the network. Shapes: B bars, N accounts.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rl_core.features.indicators import Indicators
from rl_core.features.regimes import VOLATILITY_REGIMES

PAST_RETURNS = 20


class Feature(NamedTuple):
    """One column of the state."""

    name: str
    low: float
    high: float
    source: str


MARKET_FEATURES = (
    *(
        Feature(f"return_lag_{lag}", -1.0, np.inf, f"one-bar simple return, {lag} bars ago")
        for lag in range(PAST_RETURNS)
    ),
    Feature("rsi", 0.0, 1.0, "RSI(14) / 100"),
    Feature("macd_signal", -np.inf, np.inf, "MACD(12, 26) minus its 9-bar signal line, in ATR(14)"),
    Feature("bollinger_width", 0.0, np.inf, "Bollinger band (20, 2 sd), fraction of its middle"),
    Feature("volume_ratio", 0.0, 20.0, "volume / its 20-bar mean"),
    *(
        Feature(
            f"regime_{name}", 0.0, 1.0, "volatility regime, one-hot; thresholds fitted on train"
        )
        for name in VOLATILITY_REGIMES
    ),
    Feature("data_health", 0.0, 1.0, "share of sound bars among the last 24 expected"),
    Feature("news_sentiment", -1.0, 1.0, "point-in-time file, 0 without one"),
    Feature("macro_sentiment", -1.0, 1.0, "point-in-time file, 0 without one"),
)
ACCOUNT_FEATURES = (
    Feature("position", -1.0, 1.0, "value held / equity, clipped"),
    Feature("leverage", 0.0, np.inf, "|value held| / equity"),
    Feature("cash_fraction", -np.inf, np.inf, "cash / equity; above 1 when short"),
    Feature("time_since_trade", 0.0, 1.0, "tanh(days since the last trade)"),
)
STATE_FEATURES = MARKET_FEATURES + ACCOUNT_FEATURES
MARKET_NAMES = tuple(feature.name for feature in MARKET_FEATURES)
ACCOUNT_NAMES = tuple(feature.name for feature in ACCOUNT_FEATURES)
STATE_NAMES = MARKET_NAMES + ACCOUNT_NAMES


def market_features(
    indicators: Indicators,
    regime: NDArray[np.int8],
    data_health: NDArray[np.float64],
    sentiment: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Stack the market features, (B, 30); NaN where a window is not yet full.

    Args:
        indicators: of all bars.
        regime: (B,) index into VOLATILITY_REGIMES, -1 where unknown.
        data_health: (B,) in [0, 1].
        sentiment: (B, 2) news and macro.
    """
    returns = np.full((len(regime), PAST_RETURNS), np.nan)
    for lag in range(PAST_RETURNS):
        returns[lag:, lag] = indicators.simple_return[: len(regime) - lag]
    one_hot = (regime[:, None] == np.arange(len(VOLATILITY_REGIMES))).astype(np.float64)
    one_hot[regime < 0] = np.nan
    columns = [
        returns,
        indicators.rsi,
        indicators.macd_signal,
        indicators.bollinger_width,
        indicators.volume_ratio,
        one_hot,
        data_health,
        sentiment,
    ]
    return np.column_stack(columns).astype(np.float32)


def first_complete_row(features: NDArray[np.float32]) -> int:
    """Index of the first row without NaN; B if there is none."""
    complete = np.isfinite(features).all(axis=1)
    return int(complete.argmax()) if complete.any() else len(features)
