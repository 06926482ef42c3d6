"""Markets as they are: closed on weekends, without volume, with daily bars; and traps that stop."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rl_core.base.errors import TollgateError
from rl_core.desk import SpotDesk
from rl_core.kinds.registry import kind_of
from rl_core.lab.markets.spot import simulate_bars
from rl_core.steps.backtest_history import HISTORY, capped_share, usual_reasons
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext
from rl_core.steps.reading import read_bars
from rl_core.steps.runner import build, require_checks_passed, verdicts
from rl_core.steps.step import Step
from rl_core.trading.impact import impact_scale


def open_hours(num_bars: int) -> pd.DatetimeIndex:
    """Hours of weekdays, UTC, as FX keeps them."""
    hours = pd.date_range("2024-01-01", periods=2 * num_bars, freq="1h", tz="UTC", unit="ns")
    return hours[hours.day_of_week < 5][:num_bars]


def desk_of(folder: Path, bars: pd.DataFrame, **settings: object) -> DeskContext:
    bars.to_parquet(folder / "bars.parquet", index=False)
    source: dict[str, object] = {"path": folder / "bars.parquet", "symbol": "XYZ"}
    source |= {n.removeprefix("bars__"): v for n, v in settings.items() if n.startswith("bars__")}
    others = {n: v for n, v in settings.items() if not n.startswith("bars__")}
    desk = SpotDesk.model_validate({"name": "market", "bars": source, **others})
    return DeskContext.open(desk, folder / "data")


def checks(context: DeskContext, step: Step[Any]) -> dict[str, bool]:
    return {check.name: check.passed for check in verdicts(context, step)}


@pytest.mark.parametrize("volume", [True, False])
def test_fx_is_closed_on_weekends_and_reports_no_volume(tmp_path: Path, volume: bool) -> None:
    bars = simulate_bars(2000, seed=3)
    bars["timestamp"] = open_hours(2000)
    if not volume:
        bars["volume"] = 0.0  # as files write it
    context = desk_of(tmp_path, bars, bars__sessions={"calendar": "24/5"})
    built = build(context, BARS)
    assert [n for n, passed in checks(context, BARS).items() if not passed] == ["bars_are_current"]
    assert built.facts.missing_bars == 0
    assert built.facts.has_volume == volume
    history = build(context, HISTORY)
    assert all(checks(context, HISTORY).values())
    market = context.kind.prepare(read_bars(built), None, None)
    assert market.health.min() > 0.9  # Monday is as sound as Friday
    assert market.features.shape[1] == len(context.kind.state.names) - len(
        context.kind.state.account
    )  # a spot state says nothing of sessions
    assert bool(market.impact_scale[market.first_bar :].any()) == volume
    assert history.facts.performance["ensemble"].annual_turnover > 0


def test_without_sessions_the_teacher_never_trades_and_the_chain_stops_with_the_cause(
    tmp_path: Path,
) -> None:
    days = pd.date_range("2010-01-01", periods=2000, freq="1D", tz="UTC", unit="ns")
    days = days[days.day_of_week < 5]
    bars = simulate_bars(len(days), seed=3).assign(timestamp=days)
    daily = {
        "bars__interval": "1d",
        "dataset": {"horizons": ["24h", "168h"]},
        "splits": {"purge": "168h"},
    }
    context = desk_of(tmp_path, bars, **daily)
    build(context, BARS)
    assert not checks(context, BARS)["few_bars_are_missing"]
    build(context, HISTORY)
    with pytest.raises(TollgateError, match=r"the_teacher_trades.*risk says data is unsound"):
        require_checks_passed(context, [HISTORY])
    closed = desk_of(tmp_path, bars, bars__sessions={"calendar": "24/5"}, **daily)
    build(closed, BARS)
    assert checks(closed, BARS)["few_bars_are_missing"]
    build(closed, HISTORY)
    require_checks_passed(closed, [HISTORY])


def test_fills_at_the_cap_stop_the_chain(tmp_path: Path) -> None:
    bars = simulate_bars(2000, seed=3)
    bars["volume"] = 1e-9  # as if in another unit by far
    context = desk_of(tmp_path, bars)
    build(context, BARS)
    build(context, HISTORY)
    with pytest.raises(TollgateError, match=r"fills_are_not_capped.*set bars\.volume: none"):
        require_checks_passed(context, [HISTORY])


def test_a_fill_is_capped_when_it_costs_as_much_as_the_largest_impact() -> None:
    records = pd.DataFrame(
        {
            "traded_units": [1.0, -1.0, 0.0, 2.0],
            "fill_price": [100.0, 100.0, np.nan, 50.0],
            "cost": [5.2, 0.2, 0.0, 4.9],  # of 100, so 5.2%, 0.2% and 4.9%
        }
    )
    assert capped_share(records, 0.05) == pytest.approx(2 / 3)
    assert capped_share(records, None) == 0.0
    assert capped_share(records.iloc[2:3], 0.05) == 0.0


def test_reasons_are_named_with_how_often_they_were_given() -> None:
    records = pd.DataFrame({"risk_reason": ["unsound", "unsound", "normal", "unsound"], "x": 1})
    assert usual_reasons(records) == "risk says unsound (75%)"


def test_a_market_without_volume_has_no_impact_and_one_that_pauses_has_the_largest() -> None:
    bars = simulate_bars(100, seed=1)
    volatility = np.full(100, 0.01)
    assert not impact_scale(bars.assign(volume=np.nan), volatility, 1.0).any()
    paused = bars.assign(volume=np.where(np.arange(100) < 50, bars["volume"], 0.0))
    assert impact_scale(paused, volatility, 1.0)[99] == pytest.approx(1e6)


@pytest.mark.parametrize(
    ("interval", "horizons", "named"),
    [("1d", ["1h", "24h"], "1h"), ("1h", ["90min"], "90min"), ("4h", ["1h", "6h"], "1h, 6h")],
)
def test_horizons_must_be_whole_bars(interval: str, horizons: list[str], named: str) -> None:
    wrong = {
        "name": "x", "bars": {"path": "x.csv", "symbol": "X", "interval": interval},
        "dataset": {"horizons": horizons},
    }  # fmt: skip
    with pytest.raises(ValueError, match=f"must be whole bars of {interval}, was {named}: set"):
        SpotDesk.model_validate(wrong)


def test_only_the_cme_has_a_break_in_its_sessions_unless_the_desk_says_so() -> None:
    def minutes(**sessions: object) -> int:
        source = {"path": "x.csv", "symbol": "X", "sessions": sessions}
        desk = SpotDesk.model_validate({"name": "x", "bars": source})
        assert desk.bars.sessions is not None
        return desk.bars.sessions.daily_break_minutes

    assert minutes() == 60
    assert minutes(calendar="24/5") == 0
    assert minutes(calendar="XNYS", daily_break_minutes=30) == 30


def test_every_kind_says_its_largest_impact() -> None:
    desk = SpotDesk.model_validate({"name": "x", "bars": {"path": "x.csv", "symbol": "X"}})
    assert kind_of(desk).largest_impact == desk.costs.max_impact_rate == 0.05
    for costs in ({"max_impact_rate": 0.001}, {"impact_coefficient": 0.0}):
        other = desk.with_settings({f"costs.{name}": value for name, value in costs.items()})
        assert kind_of(other).largest_impact is None  # not to be told from the other costs
