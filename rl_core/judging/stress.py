"""How a policy behaves in each kind of market. Shapes: S bars of the test span, H horizons."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rl_core.features.regimes import VOLATILITY_REGIMES
from rl_core.judging.figures import RegimeFigures
from rl_core.judging.metrics import largest_identical_share
from rl_core.judging.statistics.sharpe import sharpe_figures

Array = NDArray[np.float64]


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
        found[name] = RegimeFigures(
            bars=int(chosen.sum()),
            action_share=float(counts.max() / counts.sum()),
            action=action_names[int(counts.argmax())],
            identical_share=None
            if predictions is None
            else max(repeated_share(column) for column in predictions[chosen].T),
            mean_return=float(own.mean()) if len(own) else 0.0,
            sharpe=sharpe_figures(own, bars_per_year) if len(own) > 2 else None,
        )
    return found


def repeated_share(prediction: Array) -> float:
    """Share of the rows that carry the commonest value; 0 where none occurs twice."""
    share = largest_identical_share(prediction)
    return share if share * len(prediction) > 1.5 else 0.0
