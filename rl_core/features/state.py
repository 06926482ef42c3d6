"""The states: market features per bar, then account features per step; 30 and 4 on a spot desk.

One table names every feature with its range and source; its order is the order of the columns
everywhere: in the dataset, on the device and in front of the network. Shapes: B bars, N accounts.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from rl_core.features.indicators import Indicators
from rl_core.features.regimes import VOLATILITY_REGIMES

PAST_RETURNS = 20


class Feature(NamedTuple):
    """One column of the state that a policy sees."""

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
SESSION_FEATURES = (
    Feature("session_progress", 0.0, 1.0, "share of the session that is over"),
    Feature("time_to_close", 0.0, 1.0, "tanh(hours to the session's close)"),
    Feature("regular_hours", 0.0, 1.0, "1 while the stock market is open"),
    Feature("session_trend", -20.0, 20.0, "log return since the session's open, in its sd"),
    Feature("vwap_distance", -20.0, 20.0, "close minus the session's VWAP, in ATR(14)"),
    Feature("overnight_gap", -20.0, 20.0, "log return while closed, in sd of an hour"),
    Feature("range_position", 0.0, 1.0, "place of the close in the session's range so far"),
)


@dataclass(frozen=True)
class StateTable:
    """What one kind of desk sees."""

    market: tuple[Feature, ...]
    account: tuple[Feature, ...]

    @property
    def market_names(self) -> tuple[str, ...]:
        """Names of the columns that all accounts share."""
        return tuple(feature.name for feature in self.market)

    @property
    def account_names(self) -> tuple[str, ...]:
        """Names of the columns that describe the account itself."""
        return tuple(feature.name for feature in self.account)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all columns, market features first."""
        return self.market_names + self.account_names


def market_features(
    indicators: Indicators,
    regime: NDArray[np.int8],
    data_health: NDArray[np.float64],
    sentiment: NDArray[np.float64],
) -> NDArray[np.float32]:
    """Stack the market features of every desk, (B, 30); NaN where a window is not yet full.

    Args:
        indicators: of all bars.
        regime: (B,) index into VOLATILITY_REGIMES, -1 where unknown.
        data_health: (B,) in [0, 1].
        sentiment: (B, 2) news and macro.
    """
    past = np.concatenate([np.full(PAST_RETURNS - 1, np.nan), indicators.simple_return])
    one_hot = (regime[:, None] == np.arange(len(VOLATILITY_REGIMES))).astype(np.float32)
    one_hot[regime < 0] = np.nan
    columns = [
        sliding_window_view(past, PAST_RETURNS)[:, ::-1],  # no copy of it is made
        indicators.rsi,
        indicators.macd_signal,
        indicators.bollinger_width,
        indicators.volume_ratio,
        one_hot,
        data_health,
        sentiment,
    ]
    return side_by_side(columns)


def side_by_side(columns: Sequence[NDArray[Any]]) -> NDArray[np.float32]:
    """Columns (B,) and groups of them (B, K) as one table, which is float32 from the start."""
    groups = [column if column.ndim == 2 else column[:, None] for column in columns]
    return np.concatenate(groups, axis=1, dtype=np.float32, casting="same_kind")


def first_complete_row(features: NDArray[np.float32]) -> int:
    """Index of the first row without NaN; B if there is none."""
    complete = np.isfinite(features).all(axis=1)
    return int(complete.argmax()) if complete.any() else len(features)
