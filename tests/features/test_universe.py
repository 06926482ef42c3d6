"""The 50 market features of a universe."""

import numpy as np
import pytest

from rl_core.features.state import PORTFOLIO_STATE, UNIVERSE_FEATURES
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
