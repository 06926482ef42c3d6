"""What a portfolio desk's policy sees: 48 features of the universe, 16 of the account."""

import numpy as np

from rl_core.features.regimes import VOLATILITY_REGIMES
from rl_core.features.state import Feature, StateTable
from rl_core.kinds.portfolio.settings import FACTORS

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


PORTFOLIO_STATE = StateTable(UNIVERSE_FEATURES, PORTFOLIO_FEATURES)
