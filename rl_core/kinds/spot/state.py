"""What a spot desk's policy sees: 30 features of the market, 4 of the account."""

import numpy as np

from rl_core.features.state import MARKET_FEATURES, Feature, StateTable

ACCOUNT_FEATURES = (
    Feature("position", -1.0, 1.0, "value held / equity, clipped"),
    Feature("leverage", 0.0, np.inf, "|value held| / equity"),
    Feature("cash_fraction", -np.inf, np.inf, "cash / equity; above 1 when short"),
    Feature("time_since_trade", 0.0, 1.0, "tanh(days since the last trade)"),
)


SPOT_STATE = StateTable(MARKET_FEATURES, ACCOUNT_FEATURES)
