"""The 50 market features of a universe."""

import numpy as np
import pytest

from rl_core.kinds.portfolio.state import PORTFOLIO_STATE, UNIVERSE_FEATURES
from rl_core.market.panel import Panel
from tests.panels import panel_of, prepared, random_closes, with_comings_and_goings

NAMES = [feature.name for feature in UNIVERSE_FEATURES]


def column(features: np.ndarray, name: str) -> np.ndarray:
    return features[:, NAMES.index(name)]


def test_the_state_has_64_columns() -> None:
    assert len(PORTFOLIO_STATE.names) == len(set(PORTFOLIO_STATE.names)) == 64


def test_features_stay_in_their_ranges_and_are_complete_after_the_warm_up() -> None:
    market = prepared(panel_of(with_comings_and_goings(random_closes(500, 11))))
    assert market.first_bar == 200
    known = market.features[200:]
    assert np.isfinite(known).all()
    for position, feature in enumerate(UNIVERSE_FEATURES):
        assert known[:, position].min() >= feature.low - 1e-6, feature.name
        assert known[:, position].max() <= feature.high + 1e-6, feature.name


def rising_and_falling() -> Panel:
    """Two stocks rise 1% a day and one falls 1%; on the last day all three fall 2%."""
    growth = np.tile([0.01, 0.01, -0.01], (299, 1))
    growth[-1] = -0.02
    close = np.vstack([np.ones(3), np.cumprod(1 + growth, axis=0)])
    return panel_of(close.astype(np.float64))


def test_breadth_and_trend_by_hand() -> None:
    features = prepared(rising_and_falling()).features
    assert column(features, "advancing")[-2:] == pytest.approx([2 / 3, 0.0])
    assert column(features, "above_mean_20")[-1] == pytest.approx(2 / 3)
    assert column(features, "at_high_20")[-2:] == pytest.approx([2 / 3, 0.0])
    assert column(features, "at_low_20")[-2:] == pytest.approx([1 / 3, 1 / 3])
    # nine sessions of 2/3 - 1/3 and one of 0 - 1
    assert column(features, "advance_line_10")[-1] == pytest.approx((9 / 3 - 1) / 10)
    assert column(features, "index_return_lag_0")[-1] == pytest.approx(-0.02)
    assert column(features, "index_return_lag_1")[-1] == pytest.approx(0.01 / 3)
    assert column(features, "index_return_20")[-1] == pytest.approx(
        (1 + 0.01 / 3) ** 19 * 0.98 - 1, rel=1e-5
    )
    assert column(features, "index_drawdown")[-1] == pytest.approx(0.02, rel=1e-5)
    assert column(features, "universe_size")[-1] == pytest.approx(np.log10(3) / 3, rel=1e-5)
    # until then two stocks lead, each by 1% - 1%/3 a day
    assert column(features, "momentum_lead_5")[-2] == pytest.approx(5 * 0.02 / 3, rel=1e-4)
    assert column(features, "momentum_turnover")[-1] == 0.0


def test_columns_that_look_back_by_hand() -> None:
    market = prepared(panel_of(random_closes(320, 5, seed=8)))
    features, close = market.features, market.bars["close"].to_numpy()
    growth = close[1:] / close[:-1] - 1
    assert column(features, "index_return_60")[-1] == pytest.approx(close[-1] / close[-61] - 1)
    assert column(features, "index_trend_200")[-1] == pytest.approx(
        np.log(close[-1] / close[-200:].mean()), rel=1e-5
    )
    assert column(features, "index_volatility")[-1] == pytest.approx(100 * growth[-20:].std())
    assert column(features, "volatility_ratio")[-1] == pytest.approx(
        growth[-20:].std() / growth[-60:].std()
    )
    returns = market.listed.price[1:] / market.listed.price[:-1] - 1
    spread = np.sqrt(((returns - growth[:, None]) ** 2).mean(axis=1))
    assert column(features, "return_dispersion")[-1] == pytest.approx(100 * spread[-20:].mean())
    deviations = returns[-20:].std(axis=0)
    assert column(features, "stock_volatility")[-1] == pytest.approx(100 * deviations.mean())
    assert column(features, "correlation")[-1] == pytest.approx(
        growth[-20:].var() / (deviations**2).mean()
    )
    momentum = market.listed.price[20:] / market.listed.price[:-20] - 1
    assert column(features, "momentum_dispersion")[-1] == pytest.approx(momentum[-1].std())
    assert column(features, "momentum_skew")[-1] == pytest.approx(
        (momentum[-1].mean() - np.median(momentum[-1])) / momentum[-1].std()
    )
    best = [set(np.argsort(-row)[:3]) for row in (momentum[-6], momentum[-1])]
    assert column(features, "momentum_turnover")[-1] == pytest.approx(len(best[1] - best[0]) / 3)


def test_health_falls_with_what_is_missing() -> None:
    close = random_closes(300, 4)
    close[280:283, 1] = np.nan
    health = column(prepared(panel_of(close)).features, "data_health")
    assert health[270] == 1
    assert health[285] == pytest.approx(1 - 3 / (24 * 4))


def test_features_reach_back_200_sessions_wherever_the_file_begins() -> None:
    close = with_comings_and_goings(random_closes(800, 8))
    panel = panel_of(close)
    late = Panel(panel.ns[300:], panel.session[300:], panel.symbols, {"close": close[300:]})
    whole, part = prepared(panel).features, prepared(late).features
    columns = [place for place, name in enumerate(NAMES) if not name.startswith("regime_")]
    assert part[260:, columns] == pytest.approx(whole[560:, columns], rel=1e-4, abs=1e-5)


def test_thresholds_are_fitted_on_the_training_span_alone() -> None:
    close = random_closes(900, 4)
    wild = close.copy()
    wild[640:] *= np.exp(np.random.default_rng(1).normal(0, 0.1, (260, 4)))
    calm, after = (prepared(panel_of(each)).thresholds for each in (close, wild))
    assert calm == after
    wild[300:] *= np.exp(np.random.default_rng(1).normal(0, 0.1, (600, 4)))
    assert prepared(panel_of(wild)).thresholds != calm


@pytest.mark.parametrize("cut", [230, 301, 387])
def test_the_future_changes_no_feature(cut: int) -> None:
    close = with_comings_and_goings(random_closes(400, 8))
    whole = prepared(panel_of(close))
    panel = panel_of(close)
    known = Panel(panel.ns[:cut], panel.session[:cut], panel.symbols, {"close": close[:cut].copy()})
    has_come = np.isfinite(known.close).any(axis=0)  # who comes later is not even a column
    symbols = tuple(np.array(panel.symbols)[has_come])
    before = prepared(Panel(known.ns, known.session, symbols, {"close": known.close[:, has_come]}))
    indicators = [NAMES.index(f"regime_{name}") for name in ("low", "normal", "high")]
    others = np.delete(np.arange(len(NAMES)), indicators)  # thresholds are fitted on other bars
    assert before.features[:, others] == pytest.approx(
        whole.features[:cut, others], rel=1e-6, abs=1e-7, nan_ok=True
    )
