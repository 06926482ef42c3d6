"""A simulated future has what real ones are known for, and the signal that was asked for."""

import numpy as np
import pandas as pd
import pytest
from pydantic import ValidationError

from rl_core.base.units import NS_PER_MINUTE
from rl_core.lab.markets.futures import simulate_future
from rl_core.market.bars import nanoseconds, require_bar_contract
from rl_core.market.quality import assess_quality
from rl_core.market.rolls import continuous_prices, rolls
from rl_core.market.sessions import session_clock
from rl_core.market.settings import BarsConfig, FuturesSimulation, QualityConfig, SessionConfig

HOURS = SessionConfig()


@pytest.fixture(scope="module")
def bars() -> pd.DataFrame:
    return simulate_future(FuturesSimulation(sessions=60, seed=3), HOURS)


def minute_returns(bars: pd.DataFrame) -> np.ndarray:
    return np.log(bars["close"].to_numpy() / bars["open"].to_numpy())


def test_it_meets_the_contract_and_its_quality_is_clean(bars: pd.DataFrame) -> None:
    require_bar_contract(bars)
    report = assess_quality(bars, NS_PER_MINUTE, QualityConfig(), sessions=HOURS)
    assert report.missing_bars == 0
    assert report.outside_session_rows == report.bad_roll_rows == report.unit_error_rows == []
    assert report.rolls == 1  # the March contract ends in these sixty days


def test_prices_lie_on_ticks(bars: pd.DataFrame) -> None:
    ticks = bars[["open", "high", "low", "close"]].to_numpy() / 0.25
    np.testing.assert_array_equal(ticks, np.round(ticks))


def test_volatility_and_volume_are_high_at_the_open_and_close_and_low_at_night(
    bars: pd.DataFrame,
) -> None:
    clock = session_clock(nanoseconds(bars["timestamp"]), rolls(bars), HOURS, NS_PER_MINUTE)
    local = bars["timestamp"].dt.tz_convert("America/New_York")
    minute = (local.dt.hour * 60 + local.dt.minute).to_numpy()
    size, volume = np.abs(minute_returns(bars)), bars["volume"].to_numpy()
    for figure in (size, volume):
        opening = figure[(minute >= 570) & (minute < 585)].mean()
        lunch = figure[(minute >= 720) & (minute < 780)].mean()
        closing = figure[(minute >= 945) & (minute < 960)].mean()
        night = figure[~clock.is_regular].mean()
        assert opening > 1.5 * lunch
        assert closing > 1.2 * lunch
        assert lunch > 1.5 * night


def test_overnight_gaps_and_wild_days_are_there(bars: pd.DataFrame) -> None:
    prices = continuous_prices(bars)
    clock = session_clock(nanoseconds(bars["timestamp"]), rolls(bars), HOURS, NS_PER_MINUTE)
    first = np.flatnonzero(clock.starts)[1:]
    close, opens = prices["close"].to_numpy(), prices["open"].to_numpy()
    gaps = np.abs(np.log(opens[first] / close[first - 1]))
    assert np.median(gaps) > 3 * np.median(np.abs(minute_returns(bars)))
    daily = pd.Series(minute_returns(bars)).groupby(clock.session).std()
    assert daily.max() > 1.6 * daily.min()


def test_a_future_without_a_signal_is_unpredictable_and_one_with_it_is_not() -> None:
    def correlation(r2: float) -> float:
        config = FuturesSimulation(sessions=60, seed=5, signal_r2=r2)
        made = simulate_future(config, HOURS)
        clock = session_clock(nanoseconds(made["timestamp"]), rolls(made), HOURS, NS_PER_MINUTE)
        quiet = ~clock.is_regular  # one level of volatility
        returns = pd.Series(minute_returns(made))
        past = returns.ewm(halflife=20).mean().shift(1)
        return float(np.corrcoef(past[quiet][100:], returns[quiet][100:])[0, 1])

    assert abs(correlation(0.0)) < 0.01
    assert correlation(0.04) == pytest.approx(0.2, abs=0.06)


def test_the_same_seed_gives_the_same_bars(bars: pd.DataFrame) -> None:
    again = simulate_future(FuturesSimulation(sessions=60, seed=3), HOURS)
    pd.testing.assert_frame_equal(bars, again)
    other = simulate_future(FuturesSimulation(sessions=60, seed=4), HOURS)
    assert (other["close"] != bars["close"]).any()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"symbol": "NQ"}, "symbol of simulated bars must begin with SIM, was NQ"),
        ({"sessions": None}, "must have sessions and an interval of 1min"),
        (
            {"path": "bars.csv"},
            "one of path, url, download, .*, was path, simulated",
        ),
    ],
)
def test_simulated_bars_are_named_so(settings: dict[str, object], message: str) -> None:
    base: dict[str, object] = {
        "simulated": {"sessions": 5}, "symbol": "SIM-NQ", "interval": "1min", "sessions": {},
    }  # fmt: skip
    with pytest.raises(ValidationError, match=message):
        BarsConfig.model_validate({**base, **settings})
