"""Factor scores and the twelve regimes, by hand on six stocks; and what may not change them."""

import numpy as np
import pytest

from rl_core.base.errors import TollgateError
from rl_core.kinds.portfolio.allocations import factor_exposures, portfolio_weights
from rl_core.kinds.portfolio.factors import (
    Factors,
    compute_factors,
    dollar_volume,
    listing_age,
    pick_size,
    ranks,
    top_share,
)
from rl_core.kinds.portfolio.settings import FACTORS, Allocation, AllocationConfig
from rl_core.market.panel import Listing, Panel, listing
from tests.panels import panel_of, random_closes, with_comings_and_goings

SYMBOLS = ("A", "B", "C", "D", "E", "F")
# each stock's daily returns alternate between mean + sd and mean - sd, over 20 sessions
MEAN = np.array([0.010, 0.008, 0.004, 0.002, -0.002, -0.006])
SD = np.array([0.020, 0.005, 0.006, 0.001, 0.002, 0.030])
DOLLARS = np.array([1e6, 9e6, 8e6, 2e6, 7e6, 3e6])  # traded a day: A, D and F are the smallest


def six_stocks() -> Panel:
    sign = np.where(np.arange(20) % 2 == 0, 1.0, -1.0)[:, None]
    growth = np.cumprod(1 + MEAN + sign * SD, axis=0)
    close = np.vstack([np.full(6, 100.0), 100.0 * growth]).astype(np.float64)
    return panel_of(close, SYMBOLS, volume=DOLLARS / close, unadjusted_close=close)


def scored(panel: Panel, size: str = "auto") -> tuple[Factors, Listing]:
    listed = listing(panel.close, 5)
    return compute_factors(panel, listed, pick_size(size, panel)), listed  # type: ignore[arg-type]


def test_scores_of_six_stocks_by_hand() -> None:
    factors, _ = scored(six_stocks())
    # A: 10 times up 3% and 10 times down 1%
    assert factors.scores["momentum"][20, 0] == pytest.approx(1.03**10 * 0.99**10 - 1)
    assert factors.scores["low_vol"][20] == pytest.approx(-SD)
    assert factors.scores["quality"][20] == pytest.approx([0.5, 1.6, 2 / 3, 2.0, -1.0, -0.2])
    assert factors.scores["size"][20] == pytest.approx(-np.log(DOLLARS))
    for name in FACTORS:
        assert np.isnan(factors.scores[name][:20]).all()  # 20 returns are not there before


THIRD, SIXTH = 1 / 3, 1 / 6
BY_HAND = {  # regime -> weights of A to F
    "HOLD": [0, 0, 0, 0, 0, 0],
    "FULL_CASH": [0, 0, 0, 0, 0, 0],
    "DEFENSIVE": [0.5 / 6] * 6,
    "LIGHT_CASH": [0.75 / 6] * 6,
    "EQUAL_WEIGHT": [SIXTH] * 6,
    "MOMENTUM": [THIRD, THIRD, THIRD, 0, 0, 0],
    "LOW_VOL": [0, THIRD, 0, THIRD, THIRD, 0],
    "QUALITY": [0, THIRD, THIRD, THIRD, 0, 0],
    "SIZE_SMALL": [THIRD, 0, 0, THIRD, 0, THIRD],
    "SAFE_MOMENTUM": [0.7 / 3, 0.7 / 3, 0.7 / 3, 0, 0, 0],
    "SAFE_QUALITY": [0, 0.7 / 3, 0.7 / 3, 0.7 / 3, 0, 0],
    "RISK_ON": [0.5, 0.5, 0, 0, 0, 0],  # top 30% of six are two
}


def weights_of(config: AllocationConfig, panel: Panel) -> dict[str, np.ndarray]:
    """What each regime of a menu asks for at the last close."""
    factors, listed = scored(panel)
    table = portfolio_weights(config, factors, listed, panel.symbols)[-1]

    def weight(regime: Allocation) -> np.ndarray:
        if not regime.is_order:
            return np.zeros(len(panel.symbols))
        return regime.invested * table[config.portfolios.index(str(regime.portfolio))]

    return {regime.name: weight(regime) for regime in config.menu}


def test_weights_of_every_regime_on_six_stocks_by_hand() -> None:
    weights = weights_of(AllocationConfig(), six_stocks())
    assert list(weights) == list(BY_HAND)
    for name, expected in BY_HAND.items():
        assert weights[name] == pytest.approx(expected), name


@pytest.mark.parametrize("stocks", [3, 20, 300])
def test_the_same_twelve_regimes_fit_any_universe(stocks: int) -> None:
    weights = weights_of(AllocationConfig(), panel_of(random_closes(40, stocks)))
    invested = {name: weight.sum() for name, weight in weights.items()}
    assert invested == pytest.approx(
        {
            **dict.fromkeys(BY_HAND, 1.0),
            "HOLD": 0.0, "FULL_CASH": 0.0, "DEFENSIVE": 0.5, "LIGHT_CASH": 0.75,
            "SAFE_MOMENTUM": 0.7, "SAFE_QUALITY": 0.7,
        }
    )  # fmt: skip
    held = {name: int((weight > 0).sum()) for name, weight in weights.items()}
    assert held["MOMENTUM"] == -(-stocks // 2)
    assert held["RISK_ON"] == {3: 1, 20: 6, 300: 90}[stocks]


def test_a_split_changes_no_adjusted_score() -> None:
    """F splits two for one, on day 30 or after the last; prices and volumes paid are facts."""
    close = random_closes(60, 6)
    volume = np.full(close.shape, 1e6)
    never = panel_of(close, SYMBOLS, volume=volume, unadjusted_close=close)
    adjusted = close.copy()
    adjusted[:, 5] /= 2
    later = panel_of(adjusted, SYMBOLS, volume=volume, unadjusted_close=close)
    paid, shares = close.copy(), volume.copy()
    paid[30:, 5] /= 2
    shares[30:, 5] *= 2
    within = panel_of(adjusted, SYMBOLS, volume=shares, unadjusted_close=paid)
    for size in ("dollar_volume", "inverse_growth"):
        expected = scored(never, size)[0].scores
        for panel in (later, within):
            scores = scored(panel, size)[0].scores
            for name in FACTORS:
                assert scores[name] == pytest.approx(expected[name], rel=1e-12, nan_ok=True)


def test_inverse_price_is_of_the_price_that_was_paid_and_never_of_an_adjusted_one() -> None:
    close = random_closes(30, 3)
    with pytest.raises(TollgateError, match="since they know of later splits"):
        pick_size("inverse_price", panel_of(close))
    panel = panel_of(close, unadjusted_close=2 * close)
    assert scored(panel, "inverse_price")[0].scores["size"][-1] == pytest.approx(
        -np.log(2 * close[-1])
    )
    assert pick_size("auto", panel) == "inverse_growth"  # a price is no size: it must be asked for
    with pytest.raises(TollgateError, match=r"must find market_value in the panel.* possible here"):
        pick_size("market_value", panel)


def test_auto_takes_the_best_measure_of_size_that_is_known_on_the_day() -> None:
    close = random_closes(30, 3)
    assert pick_size("auto", panel_of(close)) == "inverse_growth"
    assert pick_size("auto", panel_of(close, volume=close)) == "inverse_growth"  # of what price?
    paid = panel_of(close, volume=close, unadjusted_close=close)
    assert pick_size("auto", paid) == "dollar_volume"
    assert pick_size("auto", panel_of(close, traded_value=close)) == "dollar_volume"
    panel = panel_of(close, traded_value=close, market_value=close)
    assert pick_size("auto", panel) == "market_value"


def test_inverse_growth_is_over_200_sessions_wherever_the_file_begins() -> None:
    close = random_closes(700, 5)
    whole, part = (scored(panel_of(each))[0].scores["size"] for each in (close, close[300:]))
    assert whole[-1] == pytest.approx(-np.log(close[-1] / close[-200]))
    assert part[200:] == pytest.approx(whole[500:])


def test_the_value_traded_of_a_newcomer_is_its_mean_since_it_came() -> None:
    close = random_closes(60, 4)
    close[:50, 2] = np.nan
    panel = panel_of(close, traded_value=np.full(close.shape, 3e6))
    listed = listing(close, 5)
    value = dollar_volume(panel, listed, listing_age(listed.is_listed))
    assert value[50:, 2] == pytest.approx(3e6)
    assert value[-1] == pytest.approx(3e6)


def test_exposures_are_1_for_the_highest_score_and_minus_1_for_the_lowest() -> None:
    factors, _ = scored(six_stocks())
    # quality: D 2.0, B 1.6, C 0.67, A 0.5, F -0.2, E -1.0
    assert factor_exposures(factors)[-1, FACTORS.index("quality")] == pytest.approx(
        [-0.2, 0.6, 0.2, 1.0, -1.0, -0.6]
    )
    assert not factor_exposures(factors)[10].any()  # nothing is known yet


def test_a_price_that_never_moves_is_dead_and_not_calm() -> None:
    close = random_closes(40, 4)
    close[15:, 2] = close[15, 2]
    factors, listed = scored(panel_of(close))
    assert np.isnan(factors.scores["low_vol"][-1, 2])
    assert np.isnan(factors.scores["quality"][-1, 2])
    weights = portfolio_weights(AllocationConfig(), factors, listed, "abcd")[-1]
    assert weights[AllocationConfig().portfolios.index("low_vol half"), 2] == 0


def test_equal_scores_are_ranked_by_the_alphabet_and_unknown_ones_come_last() -> None:
    score = np.array([[1.0, np.nan, 2.0, 1.0]])
    assert ranks(score).tolist() == [[1, 3, 0, 2]]
    factors, _ = scored(panel_of(random_closes(30, 3)))
    factors.scores["size"], factors.places["size"] = score, ranks(score)
    assert top_share(factors, "size", 0.5).tolist() == [[0.5, 0, 0.5, 0]]
    nobody = np.full((1, 3), np.nan)
    factors.scores["size"], factors.places["size"] = nobody, ranks(nobody)
    assert top_share(factors, "size", 0.5).tolist() == [[0, 0, 0]]


def test_stocks_enter_and_leave_and_the_future_changes_no_score() -> None:
    close = with_comings_and_goings(random_closes(200, 9))
    whole, listed = scored(panel_of(close))
    weights = portfolio_weights(AllocationConfig(), whole, listed, "abcdefghi")
    assert (weights.sum(axis=2) <= 1 + 1e-12).all()
    assert not weights[:, 0][~listed.is_listed].any()
    spoiled = close.copy()
    spoiled[120:] *= np.random.default_rng(5).uniform(0.5, 2.0, (80, 9))
    spoiled[130:, 4] = np.nan
    for name in FACTORS:
        other = scored(panel_of(spoiled))[0].scores[name]
        assert np.array_equal(whole.scores[name][:120], other[:120], equal_nan=True)


def test_hand_written_allocations_need_their_stocks_and_leave_the_rest_in_cash() -> None:
    etfs = AllocationConfig(regimes="etf_16")
    panel = panel_of(random_closes(30, 3), ("IWM", "QQQ", "SPY"))
    weights = weights_of(etfs, panel)
    assert len(weights) == 16
    assert weights["SPY_QQQ"].tolist() == [0, 0.5, 0.5]
    assert weights["SPY_75"].tolist() == [0, 0, 0.75]
    assert len(AllocationConfig(regimes="names_24").menu) == 24
    with pytest.raises(TollgateError, match="was without QQQ"):
        etfs.require_universe(("SPY", "IWM"))
    named = AllocationConfig(regimes="own", own={"momentum": {"SPY": 1.0}, "equal": {"IWM": 1.0}})
    assert weights_of(named, panel)["momentum"].tolist() == [0, 0, 1]
    assert weights_of(named, panel)["equal"].tolist() == [1, 0, 0]
    own = AllocationConfig(regimes="own", own={"HALF": {"SPY": 0.5}})
    assert [regime.meaning for regime in own.menu] == ["keep what is held", "50% SPY, 50% cash"]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"regimes": "own"}, "own allocations must be given"),
        ({"own": {"X": {"A": 1.0}}}, "own allocations must be given"),
        ({"regimes": "own", "own": {"X": {"A": 0.7, "B": 0.4}}}, "sum to <= 1"),
        ({"regimes": "own", "own": {"X": {"A": -0.1}}}, "must be >= 0"),
        ({"regimes": "own", "own": {"HOLD": {"A": 0.1}}}, "other than HOLD"),
        ({"regimes": "own", "own": {"momentum half": {"A": 0.1}}}, "other than HOLD"),
    ],
)
def test_impossible_allocations_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AllocationConfig.model_validate(settings)
