"""Hand-written allocations, by regime and symbol; what is missing from 1 is cash.

They fit one universe each: three ETFs, and twelve names. The twelve factor regimes fit any.
"""

from collections.abc import Mapping

_TECH = ("AAPL", "MSFT", "NVDA", "TSLA", "AMZN", "META", "GOOGL", "AMD", "NFLX")
_CHIPS = ("NVDA", "AMD")
_MEGA_CAPS = ("AAPL", "MSFT", "AMZN", "GOOGL", "META")


def _alike(symbols: tuple[str, ...], total: float = 1.0) -> dict[str, float]:
    return {symbol: total / len(symbols) for symbol in symbols}


ETF_16: Mapping[str, Mapping[str, float]] = {  # with HOLD sixteen
    "FULL_CASH": {},
    "SPY_25": {"SPY": 0.25},
    "SPY_50": {"SPY": 0.50},
    "SPY_75": {"SPY": 0.75},
    "SPY_100": {"SPY": 1.0},
    "QQQ_50": {"QQQ": 0.50},
    "QQQ_100": {"QQQ": 1.0},
    "IWM_50": {"IWM": 0.50},
    "IWM_100": {"IWM": 1.0},
    "SPY_QQQ": {"SPY": 0.50, "QQQ": 0.50},
    "SPY_IWM": {"SPY": 0.50, "IWM": 0.50},
    "QQQ_IWM": {"QQQ": 0.50, "IWM": 0.50},
    "THIRDS": _alike(("SPY", "QQQ", "IWM")),
    "GROWTH_TILT": {"SPY": 0.30, "QQQ": 0.60, "IWM": 0.10},
    "SMALL_TILT": {"SPY": 0.30, "QQQ": 0.10, "IWM": 0.60},
}
NAMES_24: Mapping[str, Mapping[str, float]] = {  # with HOLD twenty-four
    **{name: weights for name, weights in ETF_16.items() if not name.startswith("SPY_2")},
    "ALL_TWELVE": _alike(("SPY", "QQQ", "IWM", *_TECH)),
    "TECH": _alike(_TECH),
    "TECH_50": _alike(_TECH, 0.5),
    "MEGA_CAPS": _alike(_MEGA_CAPS),
    "MEGA_CAPS_50": _alike(_MEGA_CAPS, 0.5),
    "CHIPS": _alike(_CHIPS),
    "CHIPS_AND_SPY": {**_alike(_CHIPS, 0.5), "SPY": 0.5},
    "TECH_AND_SPY": {**_alike(_TECH, 0.5), "SPY": 0.5},
    "CORE_AND_GROWTH": {**_alike(_MEGA_CAPS, 0.4), "SPY": 0.4, "QQQ": 0.2},
}
