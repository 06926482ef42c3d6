"""Simple models find what is simple, and a rule trades what is large."""

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from rl_core.judging.contenders import FITS, Rows, Rule, ridge, thresholds
from rl_core.trading.accounts import BUY, HOLD, SELL


def rows(number: int, seed: int, *, bend: float = 0.0) -> Rows:
    """Returns of which the first feature tells a tenth of a percent, and its square so much."""
    rng = np.random.default_rng(seed)
    features = rng.normal(size=(number, 6)).astype(np.float32)
    x = features[:, 0].astype(np.float64)
    returns = 0.001 * x + bend * (x**2 - 1) + rng.normal(0, 0.002, number)
    return Rows(features, np.column_stack([returns, np.full(number, np.nan)]))


def test_ridge_finds_a_line() -> None:
    forecast = ridge(rows(4000, 1), rows(1000, 2), 0)
    assert forecast is not None
    test = rows(2000, 3)
    assert np.corrcoef(forecast(test.features), test.features[:, 0])[0, 1] > 0.98
    assert forecast(test.features).std() == pytest.approx(0.001, rel=0.15)


def test_a_ridge_of_noise_shrinks_to_the_mean() -> None:
    """With nothing to find the penalty is large: honest forecasts are small."""
    rng = np.random.default_rng(4)
    noise = [
        Rows(rng.normal(size=(n, 30)).astype(np.float32), rng.normal(size=(n, 1)))
        for n in (300, 300)
    ]
    forecast = ridge(noise[0], noise[1], 0)
    assert forecast is not None
    plain = Ridge(alpha=1.0).fit(noise[0].features, noise[0].returns[:, 0])
    seen = noise[1].features
    assert forecast(seen).std() < 0.5 * np.asarray(plain.predict(seen)).std()


def test_trees_find_what_a_line_cannot() -> None:
    train, validation, test = (rows(n, n, bend=0.003) for n in (6000, 1500, 2000))
    found = {name: fit(train, validation, 0) for name, fit in FITS.items()}
    errors = {
        name: float(((forecast(test.features) - test.returns[:, 0]) ** 2).mean())
        for name, forecast in found.items()
        if forecast is not None
    }
    assert errors["trees"] < 0.6 * errors["ridge"]


@pytest.mark.parametrize("name", FITS)
def test_the_same_rows_give_the_same_fit_and_too_few_known_returns_none(name: str) -> None:
    fit = FITS[name]
    assert fit(rows(400, 1), rows(400, 2), 1) is None  # that horizon is unknown
    assert fit(rows(40, 1), rows(400, 2), 0) is None
    forecast, again = (fit(rows(400, 1), rows(400, 2), 0) for _ in range(2))
    assert forecast is not None
    assert again is not None
    seen = rows(50, 3).features
    np.testing.assert_array_equal(forecast(seen), again(seen))


def test_a_rule_orders_beyond_its_threshold_alone() -> None:
    action, strength = Rule(0, 0.002).decide(np.array([0.003, 0.002, 0.0, -0.002, -0.0021]))
    assert action.tolist() == [BUY, HOLD, HOLD, HOLD, SELL]
    assert strength.tolist() == [1, 0, 0, 0, 1]


def test_thresholds_leave_out_so_many_bars_of_validation() -> None:
    assert thresholds(np.array([-4.0, 1.0, -2.0, 3.0, 0.0])) == pytest.approx([0, 2, 3, 3.6])
