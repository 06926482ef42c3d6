"""How a policy behaves in each kind of market. Shapes: S bars of the test span, H horizons."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from rl_core.evaluation.metrics import largest_identical_share
from rl_core.features.regimes import VOLATILITY_REGIMES
from rl_core.trading.performance import around, sharpe_error_of

Array = NDArray[np.float64]


class RegimeFigures(BaseModel):
    """A policy in the bars of one regime."""

    model_config = ConfigDict(frozen=True)

    bars: int
    action_share: float  # of the commonest action
    action: str  # which one that is
    identical_share: float | None  # of predictions, the horizon with most; None without heads
    mean_return: float  # per bar, all costs paid
    sharpe: float | None  # annual
    sharpe_low: float | None  # 95%
    sharpe_high: float | None


def regimes_of(
    volatility_regime: NDArray[np.int8], adx: Array, trending_adx: float
) -> dict[str, NDArray[np.bool_]]:
    """Name -> which bars (S,): by volatility, and by strength of trend."""
    by_volatility = {
        f"{name}_volatility": volatility_regime == number
        for number, name in enumerate(VOLATILITY_REGIMES)
    }
    return {**by_volatility, "trending": adx >= trending_adx, "ranging": adx < trending_adx}


def regime_figures(
    regimes: Mapping[str, NDArray[np.bool_]],
    actions: NDArray[np.int8],
    action_names: tuple[str, ...],
    predictions: Array | None,
    returns: Array,
    bars_per_year: float,
) -> dict[str, RegimeFigures]:
    """Figures of every regime that has bars.

    Args:
        regimes: name -> which bars (S,).
        actions: (S,).
        action_names: of the desk.
        predictions: (S, H), or None if the heads are untrained.
        returns: (S - 1,); that of bar t + 1 belongs to the regime at the close of bar t.
        bars_per_year: to make ratios annual.
    """
    found: dict[str, RegimeFigures] = {}
    for name, chosen in regimes.items():
        if not chosen.any():
            continue
        counts = np.bincount(actions[chosen], minlength=len(action_names))
        own = returns[chosen[:-1]]
        sharpe, low, high = _sharpe(own, bars_per_year)
        found[name] = RegimeFigures(
            bars=int(chosen.sum()),
            action_share=float(counts.max() / counts.sum()),
            action=action_names[int(counts.argmax())],
            identical_share=None
            if predictions is None
            else max(largest_identical_share(column) for column in predictions[chosen].T),
            mean_return=float(own.mean()) if len(own) else 0.0,
            sharpe=sharpe,
            sharpe_low=low,
            sharpe_high=high,
        )
    return found


def _sharpe(
    returns: Array, bars_per_year: float
) -> tuple[float, float, float] | tuple[None, None, None]:
    if len(returns) < 3 or not returns.std() > 1e-12:
        return None, None, None
    per_bar, annual = float(returns.mean() / returns.std()), np.sqrt(bars_per_year)
    low, high = around(per_bar, sharpe_error_of(returns, per_bar))
    return per_bar * annual, low * annual, high * annual
