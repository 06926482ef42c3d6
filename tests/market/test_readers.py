"""Readers bring every format into the bar contract and say exactly what is wrong."""

from collections.abc import Callable
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from rl_core.base.errors import TollgateError
from rl_core.market.readers import read_bars, read_raw_bars
from rl_core.market.settings import BarsConfig

MESSY = """Timestamps are UTC timezone,https://example.org
date,symbol,open,high,low,close,volume_coin,volume
2019-10-17 01-AM,X,3,4,2,3.5,10,35
2019-10-17 12-AM,X,2,3,1,3,20,60
2019-10-16 11-PM,X,1,2,0.5,2,30,60
"""
MESSY_CONFIG = {
    "symbol": "X",
    "columns": {"timestamp": "date", "volume": "volume_coin"},
    "timestamp_format": "%Y-%m-%d %I-%p",
    "skip_rows": 1,
}
ROWS = [
    "2020-01-01 00:00,10,12,9,11,5",
    "2020-01-01 01:00,11,13,10,12,6",
    "2020-01-01 02:00,12,14,11,13,7",
]


def csv_config(tmp_path: Path, text: str, **settings: object) -> BarsConfig:
    path = tmp_path / "bars.csv"
    path.write_text(text)
    return BarsConfig.model_validate({"path": path, "symbol": "X", **settings})


def clean_csv(rows: list[str]) -> str:
    return "\n".join(["timestamp,open,high,low,close,volume", *rows, ""])


def test_a_messy_csv_is_read_by_its_description(tmp_path: Path) -> None:
    bars = read_bars(csv_config(tmp_path, MESSY, **MESSY_CONFIG), tmp_path)
    assert [str(t) for t in bars["timestamp"]] == [
        "2019-10-16 23:00:00+00:00",
        "2019-10-17 00:00:00+00:00",
        "2019-10-17 01:00:00+00:00",
    ]
    assert bars["close"].tolist() == [2.0, 3.0, 3.5]
    assert bars["volume"].tolist() == [30.0, 20.0, 10.0]  # coins, not the dollars beside them


def test_csv_parquet_and_duckdb_give_the_same_bars(tmp_path: Path) -> None:
    config = csv_config(tmp_path, clean_csv(ROWS))
    bars = read_bars(config, tmp_path)
    bars.to_parquet(tmp_path / "bars.parquet")
    with duckdb.connect(str(tmp_path / "bars.duckdb")) as connection:
        connection.execute("CREATE TABLE hourly AS SELECT * FROM bars")
    for name, table in (("bars.parquet", None), ("bars.duckdb", "hourly")):
        other = BarsConfig(path=tmp_path / name, symbol="X", table=table)
        pd.testing.assert_frame_equal(read_bars(other, tmp_path), bars)


def test_local_times_are_turned_into_utc(tmp_path: Path) -> None:
    bars = read_bars(csv_config(tmp_path, clean_csv(ROWS), timezone="America/New_York"), tmp_path)
    assert str(bars["timestamp"].iloc[0]) == "2020-01-01 05:00:00+00:00"


DEFECTS: dict[str, tuple[Callable[[list[str]], str], str]] = {
    "an empty file": (lambda _: "", "bars must be a readable csv file"),
    "a header alone": (lambda _: clean_csv([]), "bars must have at least one row"),
    "a missing column": (
        lambda _: "timestamp,open,high,close,volume\n2020-01-01,1,1,1,1\n",
        "was without low",
    ),
    "fewer names than cells": (
        lambda r: clean_csv([row + ",9" for row in r]),
        "bars.csv must have as many column names as cells in line 1, had fewer",
    ),
    "a title line": (
        lambda r: "made by somebody\n" + clean_csv(r),
        "fewer: set bars.skip_rows if a title line comes first",
    ),
    "a time that is none": (
        lambda r: clean_csv([r[0], r[1].replace("2020-01-01 01:00", "yesterday"), r[2]]),
        "timestamps must read as ISO 8601, was 'yesterday' (row 3)",
    ),
    "an epoch": (
        lambda _: clean_csv(["1577836800,10,12,9,11,5"]),
        "was the number 1577836800 (row 2): set bars.timestamp_unit: s if it means 2020-01-01",
    ),
    "text for a number": (
        lambda r: clean_csv([r[0], r[1].replace(",11,", ",1_000,"), r[2]]),
        "bars column open must hold finite numbers, was '1_000' (row 3)",
    ),
    "an empty cell": (
        lambda r: clean_csv([r[0], r[1], r[2].replace(",13,", ",,")]),
        "bars column close must hold finite numbers, was '' (row 4)",
    ),
    "infinity": (
        lambda r: clean_csv([r[0].replace(",12,", ",inf,"), *r[1:]]),
        "bars column high must hold finite numbers, was 'inf' (row 2)",
    ),
    "a number beyond float32": (
        lambda r: clean_csv([r[0].replace(",5", ",1e300"), *r[1:]]),
        "bars column volume must be a finite number >= 0, was 1e+300 (row 2)",
    ),
    "a price of zero": (
        lambda r: clean_csv([r[0], r[1].replace(",10,", ",0,"), r[2]]),
        "bars column low must be a finite number > 0, was 0.0 (row 3)",
    ),
    "negative volume": (
        lambda r: clean_csv([r[0], r[1].replace(",6", ",-6"), r[2]]),
        "bars column volume must be a finite number >= 0, was -6.0 (row 3)",
    ),
    "a high below the close": (
        lambda r: clean_csv([r[0], r[1].replace(",13,", ",11.5,"), r[2]]),
        "bars must have high >= open and close, was not in row 3",
    ),
    "a low above the open": (
        lambda r: clean_csv([r[0].replace(",9,", ",10.5,"), *r[1:]]),
        "bars must have low <= open and close, was not in row 2",
    ),
    "a repeated time": (
        lambda r: clean_csv([r[0], r[1], r[1], r[2]]),
        "bars must be strictly increasing in time, was 2020-01-01 01:00 twice (rows 3, 4)",
    ),
    "rows out of order": (
        lambda r: clean_csv([*r, "2020-01-01 01:30,1,1,1,1,1"]),
        "was 2020-01-01 01:30 after 2020-01-01 02:00 (rows 4, 5)",
    ),
    "another symbol": (
        lambda r: clean_csv([r[0] + ",Y", *(row + ",X" for row in r[1:])]).replace(
            "volume\n", "volume,symbol\n"
        ),
        "bars must all be of symbol X, was Y (row 2)",
    ),
    "a year that nanoseconds cannot hold": (
        lambda r: clean_csv([*r, "9999-01-01 00:00,1,1,1,1,1"]),
        "be after 1677 and before 2262",
    ),
    "another bar size": (
        lambda r: clean_csv([row.replace(" 0", " 1").replace(":00", ":00") for row in r]).replace(
            "11:00", "10:01"
        ).replace("12:00", "10:02"),
        "bars must be 0 days 01:00:00 apart, was 0 days 00:01:00 in the median",
    ),
    "a bad cell below blank lines": (
        lambda r: clean_csv([r[0], "", "", r[1].replace(",11,", ",x,"), r[2]]),
        "bars column open must hold finite numbers, was 'x' (row 5)",
    ),
    "a line with too many cells": (
        lambda r: clean_csv([r[0], r[1] + ",1,2,3", r[2]]),
        "bars must be a readable csv file",
    ),
}  # fmt: skip


@pytest.mark.parametrize("defect", DEFECTS)
def test_each_class_of_defective_csv_gives_one_error_with_its_rows(
    tmp_path: Path, defect: str
) -> None:
    spoil, message = DEFECTS[defect]
    with pytest.raises(TollgateError) as error:
        read_bars(csv_config(tmp_path, spoil(ROWS)), tmp_path)
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_ticker_named_na_is_a_ticker(tmp_path: Path) -> None:
    text = clean_csv(ROWS).replace("volume\n", "volume,symbol\n")
    for volume in "567":
        text = text.replace(f",{volume}\n", f",{volume},NA\n")
    assert len(read_bars(csv_config(tmp_path, text, symbol="NA"), tmp_path)) == 3


def test_rows_out_of_order_are_sorted_only_when_the_desk_says_so(tmp_path: Path) -> None:
    text = clean_csv([ROWS[1], ROWS[0], ROWS[2]])
    config = csv_config(tmp_path, text, sort=True)
    assert read_bars(config, tmp_path)["close"].tolist() == [11.0, 12.0, 13.0]
    assert read_raw_bars(config, tmp_path).frame["close"].tolist() == [12.0, 11.0, 13.0]


def test_a_newest_first_file_keeps_its_line_numbers_in_messages(tmp_path: Path) -> None:
    text = clean_csv([ROWS[2], ROWS[1].replace(",13,", ",11.5,"), ROWS[0]])
    with pytest.raises(TollgateError, match=r"was not in row 3$"):
        read_bars(csv_config(tmp_path, text), tmp_path)


def test_a_missing_file_and_an_unknown_format_are_named(tmp_path: Path) -> None:
    with pytest.raises(TollgateError, match=r"existing file, was .*nowhere\.csv"):
        read_bars(BarsConfig(path=Path("nowhere.csv"), symbol="X"), tmp_path)
    (tmp_path / "bars.odd").write_text("x")
    with pytest.raises(TollgateError, match=r"csv, parquet, feather or duckdb, was bars\.odd"):
        read_bars(BarsConfig(path=Path("bars.odd"), symbol="X"), tmp_path)


def test_numeric_epochs_in_parquet_are_refused_rather_than_guessed(tmp_path: Path) -> None:
    frame = pd.DataFrame({n: np.ones(2) for n in ("open", "high", "low", "close", "volume")})
    frame["timestamp"] = [1577836800, 1577840400]
    frame.to_parquet(tmp_path / "bars.parquet")
    with pytest.raises(TollgateError, match="timestamps must be times, was the number 1577836800"):
        read_bars(BarsConfig(path=tmp_path / "bars.parquet", symbol="X"), tmp_path)


def test_times_with_different_offsets_are_read_as_what_they_are(tmp_path: Path) -> None:
    rows = [
        "2020-03-29 01:00+01:00,10,12,9,11,5",
        "2020-03-29 03:00+02:00,11,13,10,12,6",
        "2020-03-29 04:00+02:00,12,14,11,13,7",
    ]
    bars = read_bars(csv_config(tmp_path, clean_csv(rows)), tmp_path)
    assert [f"{t:%H:%M}" for t in bars["timestamp"]] == ["00:00", "01:00", "02:00"]


def test_an_hour_that_the_clock_change_skips_is_an_error(tmp_path: Path) -> None:
    rows = [row.replace("2020-01-01", "2020-03-29") for row in ROWS]
    with pytest.raises(
        TollgateError,
        match=r"timestamps must exist in Europe/Berlin, was 2020-03-29 02:00:00 \(row 4\)",
    ):
        read_bars(csv_config(tmp_path, clean_csv(rows), timezone="Europe/Berlin"), tmp_path)


def test_an_unknown_timezone_is_refused_with_the_settings() -> None:
    with pytest.raises(ValueError, match="timezone must be one such as UTC, was Mars"):
        BarsConfig(path=Path("x"), symbol="X", timezone="Mars")


def test_a_corrupt_parquet_file_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "bars.parquet").write_bytes(b"PAR1 and then nothing")
    with pytest.raises(TollgateError, match="bars must be a readable parquet file"):
        read_bars(BarsConfig(path=tmp_path / "bars.parquet", symbol="X"), tmp_path)
