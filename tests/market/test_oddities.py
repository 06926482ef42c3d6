"""Each oddity of a file is found where it is, and clean markets have none."""

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from rl_core.base.paths import PROJECT_ROOT
from rl_core.base.units import NS_PER_DAY
from rl_core.lab.markets.spot import simulate_bars
from rl_core.market.oddities import (
    bad_prints,
    off_grid,
    smallest_usual_move,
    split_suspects,
    usual_moves,
    volume_unit_changes,
)
from rl_core.market.quality import QualityReport, assess_quality
from rl_core.market.settings import BAR_CHECKS, QualityConfig
from rl_core.steps.bars import checks_of
from tests.conftest import HOUR_NS, make_bars

LIMITS = QualityConfig()
PRICES = ["open", "high", "low", "close"]


def market(num_bars: int = 600, seed: int = 0) -> pd.DataFrame:
    return simulate_bars(num_bars, seed=seed)


def scaled(bars: pd.DataFrame, row: int, column: str, factor: float) -> pd.DataFrame:
    """Bars with one price of one bar multiplied, its high and low still around it."""
    prices = bars[PRICES].to_numpy().copy()
    prices[row, PRICES.index(column)] *= factor
    prices[row, 1], prices[row, 2] = prices[row].max(), prices[row].min()
    return bars.assign(**dict(zip(PRICES, prices.T, strict=True)))


def report_of(bars: pd.DataFrame, **how: Any) -> QualityReport:
    return assess_quality(bars, HOUR_NS, LIMITS, **how)


def failed(report: QualityReport, limits: QualityConfig = LIMITS) -> list[str]:
    return [check.name for check in checks_of(report, limits) if not check.passed]


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_market_has_no_oddity(seed: int) -> None:
    assert failed(report_of(market(3000, seed))) == []


def test_the_committed_real_hours_have_no_oddity_but_their_outages() -> None:
    path = PROJECT_ROOT / "data/sample/BTC-USD_1h_2017-07_2019-10.parquet"
    bars = pd.read_parquet(path)
    report = report_of(bars)
    assert report.split_rows == report.volume_unit_rows == report.off_grid_rows == []
    assert report.bad_print_rows == []
    assert "prices_move" not in failed(report)


def test_usual_moves_are_the_robust_deviation_and_never_zero() -> None:
    steps = np.tile([0.01, -0.01], 100)
    bars = make_bars((100 * np.exp(np.cumsum(steps))).tolist())
    moves = np.abs(np.diff(np.log(bars["close"].to_numpy()), prepend=np.nan))
    assert usual_moves(moves, np.arange(200)) == pytest.approx(np.full(200, 1.4826 * 0.01))
    assert smallest_usual_move(moves) == pytest.approx(0.25 * 1.4826 * 0.01)
    assert smallest_usual_move(np.zeros(50)) == 1e-9


@pytest.mark.parametrize("row", [1, 300, 598])
@pytest.mark.parametrize("factor", [1.6, 0.6])
def test_a_close_that_the_next_bar_takes_back_is_a_bad_print(row: int, factor: float) -> None:
    bars = scaled(market(), row, "close", factor)
    assert np.flatnonzero(bad_prints(bars, LIMITS)).tolist() == [row]


@pytest.mark.parametrize(("column", "factor"), [("open", 1.5), ("high", 1.8), ("low", 0.4)])
def test_an_open_or_a_wick_far_away_is_a_bad_print(column: str, factor: float) -> None:
    bars = scaled(market(), 200, column, factor)
    assert np.flatnonzero(bad_prints(bars, LIMITS)).tolist() == [200]


def test_a_crash_that_stays_is_no_bad_print_and_a_bad_print_no_split() -> None:
    bars = market()
    bars.loc[300:, PRICES] *= 0.7
    assert not bad_prints(bars, LIMITS).any()
    bars = scaled(market(), 300, "close", 2)
    assert not split_suspects(bars, np.zeros(0, dtype=np.int64)).any()


@given(st.sampled_from([1.5, 2, 3, 4, 5, 10, 20]), st.integers(2, 590), st.booleans())
def test_a_split_is_found_at_its_first_bar_and_can_be_named_as_real(
    ratio: float, row: int, is_reverse: bool
) -> None:
    assume(ratio >= 2 or not is_reverse)  # nobody makes two shares of three
    bars = market()
    bars.loc[row:, PRICES] *= ratio if is_reverse else 1 / ratio
    none = np.zeros(0, dtype=np.int64)
    assert np.flatnonzero(split_suspects(bars, none)).tolist() == [row]
    day = np.array([bars["timestamp"].iloc[row].value // NS_PER_DAY * NS_PER_DAY])
    assert not split_suspects(bars, day).any()


def test_a_split_stops_the_chain_with_its_day_and_move_until_it_is_named() -> None:
    bars = market()
    bars.loc[300:, PRICES] /= 4
    report = report_of(bars)
    check = next(c for c in checks_of(report, LIMITS) if c.name == "prices_are_adjusted")
    assert check.is_blocking
    assert not check.passed
    moved = f"{bars['timestamp'].iloc[300]:%Y-%m-%d %H:%M} -7"
    assert f"row 300 ({moved}" in check.detail
    assert check.detail.endswith("or name what is real in bars.known_moves")
    named = report_of(bars, known_moves=[bars["timestamp"].iloc[300].date()])
    assert "prices_are_adjusted" not in failed(named)


def test_volume_in_another_unit_is_found_by_its_level() -> None:
    bars = market()
    bars.loc[400:, "volume"] *= 50_000
    found = np.flatnonzero(volume_unit_changes(bars))
    assert abs(found[0] - 400) <= 3
    assert found[-1] == 599
    assert "volume_has_one_unit" in failed(report_of(bars))


def test_volume_that_swings_by_the_hundredfold_every_day_is_of_one_unit() -> None:
    bars = market(2000)
    bars["volume"] = np.where(np.arange(2000) % 24 < 8, 3000.0, 20.0)
    assert not volume_unit_changes(bars).any()


def test_a_market_without_volume_is_healthy_and_no_row_of_it_is_odd() -> None:
    bars = market().assign(volume=np.nan)
    report = report_of(bars)
    assert not report.has_volume
    assert report.zero_volume_rows == []
    assert report.mean_health > 0.99
    assert failed(report) == []


def test_bars_at_other_times_than_most_are_off_the_grid() -> None:
    bars = market(100)
    bars.loc[60:, "timestamp"] += pd.Timedelta("30min")
    assert report_of(bars).off_grid_rows == list(range(60, 100))
    assert "bars_lie_on_the_grid" in failed(report_of(bars))


def test_daily_bars_at_local_midnight_stay_on_the_grid_over_clock_changes() -> None:
    days = pd.date_range("2024-01-01", periods=366, freq="D", tz="America/New_York")
    ns = days.tz_convert("UTC").as_unit("ns").asi8
    assert not off_grid(ns, NS_PER_DAY, "America/New_York").any()
    assert off_grid(ns, NS_PER_DAY, "UTC").any()


def test_holes_that_were_filled_forward_stop_the_chain_beyond_a_share() -> None:
    bars = market()
    bars.loc[100:199, PRICES] = bars.loc[99, PRICES].to_numpy()
    assert "prices_move" in failed(report_of(bars))
    few = market()
    few.loc[100:109, PRICES] = few.loc[99, PRICES].to_numpy()
    assert "prices_move" not in failed(report_of(few))
    assert "prices_move" not in failed(report_of(bars), QualityConfig(max_stale_share=0.5))


def test_severity_says_what_a_failure_does() -> None:
    report = report_of(market())
    default = {check.name: check.is_blocking for check in checks_of(report, LIMITS)}
    assert default == {
        name: does == "block" for name, (does, _) in BAR_CHECKS.items() if name in default
    }
    strict = QualityConfig(severity={"no_price_is_a_bad_print": "block", "prices_move": "warn"})
    changed = {check.name: check.is_blocking for check in checks_of(report, strict)}
    assert {n for n in changed if changed[n] != default[n]} == set(strict.severity)
    with pytest.raises(ValueError, match="severity must name checks of the bars"):
        QualityConfig(severity={"nope": "warn"})


def test_moves_of_one_tick_on_a_quiet_market_are_no_bad_prints() -> None:
    rng = np.random.default_rng(0)
    ticks = np.where(rng.random(3000) < 0.55, 0.0, rng.choice([-0.01, 0.01], 3000))
    bars = make_bars((100 + np.cumsum(ticks)).round(2).tolist())
    assert not bad_prints(bars, LIMITS).any()
