"""A file is understood by what it shows, and every guess is told with its reason."""

from pathlib import Path

import pandas as pd
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from rl_core.base.errors import TollgateError
from rl_core.base.units import length_text
from rl_core.desk import parse_desk
from rl_core.desk.new import desk_yaml
from rl_core.lab.markets.spot import simulate_bars
from rl_core.market.inspection import calendar_of, inspect_file, symbol_of
from rl_core.market.readers import checked_bars, read_bars


def bars_on(times: pd.DatetimeIndex, **columns: float) -> pd.DataFrame:
    return simulate_bars(len(times), seed=1).assign(timestamp=times, **columns)


def hours(num: int) -> pd.DatetimeIndex:
    return pd.date_range("2024-01-01", periods=num, freq="1h", tz="UTC", unit="ns")


def weekdays(times: pd.DatetimeIndex) -> pd.DatetimeIndex:
    return times[times.day_of_week < 5]


@pytest.mark.parametrize(
    ("name", "symbol"),
    [("BTC-USD_1h.csv", "BTC-USD"), ("eurusd.csv.gz", "EURUSD"), ("^GSPC.csv", "^GSPC"),
     ("ES=F 2020.parquet", "ES=F"), ("_.csv", "XYZ")],
)  # fmt: skip
def test_the_symbol_is_what_the_files_name_begins_with(name: str, symbol: str) -> None:
    assert symbol_of(Path(name)) == symbol


@pytest.mark.parametrize(
    ("ns", "written"),
    [(3_600_000_000_000, "1h"), (60_000_000_000, "1min"), (300_000_000_000, "5min"),
     (86_400_000_000_000, "1d"), (14_400_000_000_000, "4h"), (15_000_000_000, "15s")],
)  # fmt: skip
def test_lengths_are_written_as_settings_write_them(ns: int, written: str) -> None:
    assert length_text(ns) == written


def test_a_part_of_a_second_is_no_length() -> None:
    with pytest.raises(TollgateError, match=r"whole seconds, was 0\.5 s"):
        length_text(500_000_000)


def test_calendars_are_told_by_the_days_that_have_bars() -> None:
    days = pd.date_range("2023-01-02", periods=500, freq="1D", tz="UTC", unit="ns")
    holidays = pd.to_datetime(
        ["2023-01-02", "2023-01-16", "2023-02-20", "2023-04-07", "2023-05-29", "2023-06-19",
         "2023-07-04", "2023-09-04", "2023-11-23", "2023-12-25", "2024-01-01", "2024-01-15",
         "2024-02-19", "2024-03-29"], utc=True,
    )  # fmt: skip
    stocks = weekdays(days)[~weekdays(days).isin(holidays)]
    assert calendar_of(bars_on(stocks), "1d") == "XNYS"
    assert calendar_of(bars_on(weekdays(days)), "1d") == "24/5"
    assert calendar_of(bars_on(days), "1d") is None
    assert calendar_of(bars_on(weekdays(hours(2000))), "1h") == "24/5"
    assert calendar_of(bars_on(hours(2000)), "1h") is None
    assert calendar_of(bars_on(hours(100)), "1h") is None  # too few days to tell


def test_a_file_is_read_by_following_what_its_errors_advise(tmp_path: Path) -> None:
    bars = bars_on(weekdays(hours(2000)), volume=0.0)
    seconds = bars["timestamp"].astype("int64") // 10**9
    path = tmp_path / "EURUSD_h1.csv"
    bars.assign(timestamp=seconds).to_csv(path, index=False, header=False, sep=";")
    found = inspect_file(path)
    assert found.settings == {
        "path": str(path), "symbol": "EURUSD", "interval": "1h", "timestamp_unit": "s",
        "names": ["timestamp", "open", "high", "low", "close", "volume"],
        "sessions": {"calendar": "24/5"}, "volume": "none",
    }  # fmt: skip
    assert set(found.reasons) == set(found.settings) - {"path"}
    assert found.report.missing_bars == 0
    # the very bars, as the settings read them
    pd.testing.assert_frame_equal(
        checked_bars(found.raw, found.config), read_bars(found.config, tmp_path)
    )


def test_what_is_given_is_not_guessed(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    bars_on(hours(200)).to_csv(path, index=False)
    found = inspect_file(path, {"symbol": "BTCUSD", "interval": "1h", "timezone": "UTC"})
    assert found.reasons == {}
    assert found.settings["symbol"] == "BTCUSD"


def test_a_file_of_one_time_and_a_hopeless_one_are_one_error(tmp_path: Path) -> None:
    bars_on(hours(1)).to_csv(tmp_path / "one.csv", index=False)
    with pytest.raises(TollgateError, match="must have two times at least, was one"):
        inspect_file(tmp_path / "one.csv")
    (tmp_path / "odd.csv").write_text("price,when\n1,2\n")
    with pytest.raises(TollgateError, match="must have the columns"):
        inspect_file(tmp_path / "odd.csv")


@given(
    st.sampled_from(["1min", "5min", "1h", "4h", "1d", "15s"]),
    st.sampled_from(["XYZ", "NO", "1e3", "on", "BTC/USD", "^GSPC"]),
    st.sampled_from([{}, {"sessions": {"calendar": "24/5"}, "volume": "none"}]),
)
def test_the_yaml_of_any_file_is_a_desk_with_the_settings_that_it_shows(
    interval: str, symbol: str, others: dict[str, object]
) -> None:
    bars = {"path": "x.csv", "symbol": symbol, "interval": interval, **others}
    text = desk_yaml("mine", bars, {"interval": "most bars are that far apart"})
    settings = yaml.safe_load(text)
    desk = parse_desk({"name": "mine", **settings}, "mine.yaml")
    assert (desk.bars.symbol, desk.bars.interval) == (symbol, interval)
    assert settings["bars"] == bars
    assert "# most bars are that far apart" in text


def test_of_several_symbols_none_is_chosen(tmp_path: Path) -> None:
    bars = bars_on(hours(200))
    bars.assign(symbol="BTC/USD").to_csv(tmp_path / "x.csv", index=False)
    found = inspect_file(tmp_path / "x.csv")
    assert (found.settings["symbol"], found.reasons["symbol"]) == ("BTC/USD", "as the file shows")
    with pytest.raises(TollgateError, match="must all be of symbol ETH, was BTC/USD"):
        inspect_file(tmp_path / "x.csv", {"symbol": "ETH"})  # given, so not guessed
    mixed = bars.assign(symbol=["AAPL", "MSFT"] * 100)
    mixed.to_csv(tmp_path / "x.csv", index=False)
    with pytest.raises(TollgateError, match="must all be of symbol X, was AAPL"):
        inspect_file(tmp_path / "x.csv")
