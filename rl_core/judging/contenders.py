"""Simple contenders: what a linear model or boosted trees make of the features that a policy sees.

They are no desk's model, they are its mirror: whoever trains a policy should know what two lines
of scikit-learn would have done through the same fills. Each forecasts returns; a rule trades them
where they are large. Shapes: N rows, F features of the market, H horizons, S bars of a span.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_core.trading.accounts import BUY, HOLD, SELL

Array = NDArray[np.float64]
Features = NDArray[np.float32]
Forecast = Callable[[Features], Array]  # (N, F) -> (N,) fractions

SHARES = (0.0, 0.5, 0.75, 0.9)  # of the bars of validation on which the rule does nothing
PENALTIES = np.logspace(0, 6, 13)
MOST_TREES, FEWEST_ROWS = 100, 50


@dataclass(frozen=True)
class Rows:
    """Rows of one split, as simple models take them."""

    features: Features  # (N, F)
    returns: Array  # (N, H) fractions, NaN is unknown

    def of(self, horizon: int) -> tuple[Features, Array]:
        """Features and returns of the rows whose return over one horizon is known."""
        known = np.isfinite(self.returns[:, horizon])
        return self.features[known], self.returns[known, horizon]


@dataclass(frozen=True)
class Rule:
    """When a forecast is large enough to be traded."""

    horizon: int  # of the forecast
    threshold: float  # fraction; beyond it in either direction is an order

    def decide(self, forecast: Array) -> tuple[NDArray[np.int8], Array]:
        """Action and strength (S,) of forecasts (S,): all in, all out, or as it is."""
        action = np.where(forecast > self.threshold, BUY, HOLD)
        action = np.where(forecast < -self.threshold, SELL, action).astype(np.int8)
        return action, (action != HOLD) * 1.0


def thresholds(forecast: Array) -> list[float]:
    """What a rule may choose from: sizes that so many forecasts on validation do not reach."""
    return [float(each) for each in np.quantile(np.abs(forecast), SHARES)]


def ridge(train: Rows, validation: Rows, horizon: int) -> Forecast | None:
    """Ridge regression, its penalty by the error on validation; None with too few known returns."""
    from sklearn.linear_model import Ridge
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    x, y = train.of(horizon)
    held_x, held_y = validation.of(horizon)
    if min(len(y), len(held_y)) < FEWEST_ROWS:
        return None
    fits = [make_pipeline(StandardScaler(), Ridge(alpha=each)).fit(x, y) for each in PENALTIES]
    errors = [((fit.predict(held_x) - held_y) ** 2).mean() for fit in fits]
    best = fits[int(np.argmin(errors))]
    return lambda features: np.asarray(best.predict(features), dtype=np.float64)


def trees(train: Rows, validation: Rows, horizon: int) -> Forecast | None:
    """Gradient-boosted trees, as many as do best on validation; None with too few known returns."""
    from sklearn.ensemble import HistGradientBoostingRegressor
    from threadpoolctl import threadpool_limits

    x, y = train.of(horizon)
    held_x, held_y = validation.of(horizon)
    if min(len(y), len(held_y)) < FEWEST_ROWS:
        return None
    alone = threadpool_limits.wrap(limits=1, user_api="openmp")  # no thread waits for a neighbour

    @alone
    def of(count: int) -> HistGradientBoostingRegressor:
        return HistGradientBoostingRegressor(
            learning_rate=0.1, max_iter=count, max_leaf_nodes=15, min_samples_leaf=100,
            l2_regularization=1.0, random_state=0,
            early_stopping=False,  # pyright: ignore[reportArgumentType] - said to be text only
        ).fit(x, y)  # fmt: skip

    @alone
    def errors(model: HistGradientBoostingRegressor) -> list[float]:
        return [((each - held_y) ** 2).mean() for each in model.staged_predict(held_x)]

    best = of(int(np.argmin(errors(of(MOST_TREES)))) + 1)
    return alone(lambda features: np.asarray(best.predict(features), dtype=np.float64))


FITS: dict[str, Callable[[Rows, Rows, int], Forecast | None]] = {"ridge": ridge, "trees": trees}
