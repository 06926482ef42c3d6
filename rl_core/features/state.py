"""The states: market features per bar, then account features per step; 30 and 4 on a spot desk.

One table names every feature with its range and source; its order is the order of the columns
everywhere: in the dataset, on the device and in front of the network. Shapes: B bars, N accounts.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rl_core.features.factors import FACTORS
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
SESSION_FEATURES = (
    Feature("session_progress", 0.0, 1.0, "share of the session that is over"),
    Feature("time_to_close", 0.0, 1.0, "tanh(hours to the session's close)"),
    Feature("regular_hours", 0.0, 1.0, "1 while the stock market is open"),
    Feature("session_trend", -20.0, 20.0, "log return since the session's open, in its sd"),
    Feature("vwap_distance", -20.0, 20.0, "close minus the session's VWAP, in ATR(14)"),
    Feature("overnight_gap", -20.0, 20.0, "log return while closed, in sd of an hour"),
    Feature("range_position", 0.0, 1.0, "place of the close in the session's range so far"),
)
BRACKET_FEATURES = (
    Feature("position", -1.0, 1.0, "contracts held / most contracts, signed"),
    Feature("open_profit", -10.0, 10.0, "profit of the open position in ATR(14)"),
    Feature("stop_distance", -10.0, 10.0, "way to the stop in ATR(14); 0 when flat"),
    Feature("target_distance", -10.0, 10.0, "way to the target in ATR(14); 0 when flat"),
    Feature("holding_time", 0.0, 1.0, "tanh(bars held / 60)"),
    Feature("drawdown_used", 0.0, 2.0, "share of the trailing drawdown limit"),
    Feature("day_loss_used", -2.0, 2.0, "share of the daily loss limit, negative after a gain"),
    Feature("is_barred", 0.0, 1.0, "1 while a broken rule bars the account"),
)
FACTOR_SUMMARIES = (
    Feature("{}_dispersion", 0.0, np.inf, "sd of the {} scores across stocks"),
    Feature("{}_skew", -3.0, 3.0, "mean minus median of the {} scores, in their sd"),
    Feature("{}_lead_5", -np.inf, np.inf, "5-session return of the {} half over equal weight"),
    Feature("{}_lead_20", -np.inf, np.inf, "20-session return of the {} half over equal weight"),
    Feature("{}_lead_60", -np.inf, np.inf, "60-session return of the {} half over equal weight"),
    Feature("{}_turnover", 0.0, 1.0, "share of the {} half that has changed in 5 sessions"),
)
UNIVERSE_FEATURES = (
    *(
        Feature(f.name.format(factor), f.low, f.high, f.source.format(factor))
        for factor in FACTORS
        for f in FACTOR_SUMMARIES
    ),
    Feature("above_mean_20", 0.0, 1.0, "share of stocks above their 20-session mean"),
    Feature("above_mean_50", 0.0, 1.0, "share of stocks above their 50-session mean"),
    Feature("above_mean_200", 0.0, 1.0, "share of stocks above their 200-session mean"),
    Feature("advancing", 0.0, 1.0, "share of stocks that rose"),
    Feature("advance_line_10", -1.0, 1.0, "rising minus falling stocks, share, 10-session mean"),
    Feature("at_high_20", 0.0, 1.0, "share of stocks at their highest close of 20 sessions"),
    Feature("at_low_20", 0.0, 1.0, "share of stocks at their lowest close of 20 sessions"),
    *(
        Feature(f"index_return_lag_{lag}", -1.0, np.inf, f"return of all stocks alike, {lag} ago")
        for lag in range(5)
    ),
    Feature("index_return_20", -1.0, np.inf, "20-session return of all stocks alike"),
    Feature("index_return_60", -1.0, np.inf, "60-session return of all stocks alike"),
    Feature("index_trend_200", -np.inf, np.inf, "log of the index over its 200-session mean"),
    Feature("index_drawdown", 0.0, 1.0, "below its highest close of 200 sessions"),
    Feature("index_volatility", 0.0, np.inf, "sd of 20 index returns, in percent"),
    Feature("volatility_ratio", 0.0, np.inf, "sd of 20 index returns over that of 60"),
    Feature("stock_volatility", 0.0, np.inf, "mean of the stocks' 20-session sd, in percent"),
    Feature("correlation", 0.0, 1.0, "index variance over mean stock variance, 20 sessions"),
    Feature("return_dispersion", 0.0, np.inf, "sd of returns across stocks, in %, 20-session mean"),
    *(
        Feature(
            f"regime_{name}", 0.0, 1.0, "volatility regime, one-hot; thresholds fitted on train"
        )
        for name in VOLATILITY_REGIMES
    ),
    Feature("data_health", 0.0, 1.0, "share of sound prices among those of listed stocks"),
    Feature("universe_size", 0.0, 1.0, "log10(stocks listed) / 3"),
)
PORTFOLIO_FEATURES = (
    Feature("cash_weight", 0.0, 1.0, "cash / equity"),
    *(
        Feature(f"{factor}_exposure", -1.0, 1.0, f"weights times the stocks' {factor} rank, -1..1")
        for factor in FACTORS
    ),
    Feature("concentration", 0.0, 1.0, "sum of squared weights"),
    Feature("way_to_equal_weight", 0.0, 1.0, "half the sum of |weight - equal weight|"),
    Feature("last_return", -np.inf, np.inf, "log return of the account, last session, in percent"),
    Feature("return_5", -np.inf, np.inf, "its log returns, weights falling by 1/5 a session, in %"),
    Feature("return_20", -np.inf, np.inf, "the same, falling by 1/20"),
    Feature("drawdown", 0.0, 1.0, "below the account's highest equity"),
    Feature("cost_20", 0.0, np.inf, "costs in 0.1% of equity, weights falling by 1/20 a session"),
    Feature("last_cost", 0.0, np.inf, "cost of the last order that traded, in 0.1% of equity"),
    Feature("time_since_switch", 0.0, 1.0, "tanh(sessions since the last order that traded / 10)"),
)


@dataclass(frozen=True)
class StateTable:
    """What one kind of desk sees."""

    market: tuple[Feature, ...]
    account: tuple[Feature, ...]

    @property
    def market_names(self) -> tuple[str, ...]:
        """Columns that all accounts share."""
        return tuple(feature.name for feature in self.market)

    @property
    def account_names(self) -> tuple[str, ...]:
        """Columns of an account's own."""
        return tuple(feature.name for feature in self.account)

    @property
    def names(self) -> tuple[str, ...]:
        """Every column, in order."""
        return self.market_names + self.account_names


SPOT_STATE = StateTable(MARKET_FEATURES, ACCOUNT_FEATURES)
FUTURES_STATE = StateTable(MARKET_FEATURES + SESSION_FEATURES, BRACKET_FEATURES)
PORTFOLIO_STATE = StateTable(UNIVERSE_FEATURES, PORTFOLIO_FEATURES)
STATES = {"spot": SPOT_STATE, "futures": FUTURES_STATE, "portfolio": PORTFOLIO_STATE}


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
