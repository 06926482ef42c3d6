"""What a futures desk's policy sees beside the market features of every series."""

from rl_core.features.state import MARKET_FEATURES, SESSION_FEATURES, Feature, StateTable

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


FUTURES_STATE = StateTable(MARKET_FEATURES + SESSION_FEATURES, BRACKET_FEATURES)
