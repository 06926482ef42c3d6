"""Reading panels, and who is listed when."""

from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pytest

from rl_core.base.errors import TollgateError
from rl_core.market.panel import Panel, RawPanel, listing
from rl_core.market.panel_quality import assess_panel
from rl_core.market.panel_readers import read_panel
from rl_core.market.quality import QualityReport
from rl_core.market.settings import PanelConfig, QualityConfig
from tests.panels import days, panel_of, random_closes, with_comings_and_goings

WIDE = "timestamp,A,B,C\n2020-01-02,10,20,\n2020-01-03,11,,30\n2020-01-06,12,22,31\n"
LONG = """timestamp,symbol,close,volume
2020-01-03,C,30,5
2020-01-06,C,31,5
2020-01-02,A,10,7
2020-01-03,A,11,7
2020-01-06,A,12,7
2020-01-02,B,20,9
2020-01-06,B,22,9
"""
CLOSES = [[10, 20, np.nan], [11, np.nan, 30], [12, 22, 31]]


def read(folder: Path, text: str, **settings: object) -> RawPanel:
    path = folder / "panel.csv"
    path.write_text(text)
    return read_panel(
        PanelConfig.model_validate({"path": str(path), "symbol": "TEST", **settings}), folder
    )


@pytest.mark.parametrize("text", [WIDE, LONG])
def test_wide_and_long_tables_are_the_same_panel(tmp_path: Path, text: str) -> None:
    panel = read(tmp_path, text).panel
    assert panel.symbols == ("A", "B", "C")
    assert np.array_equal(panel.close, CLOSES, equal_nan=True)
    assert panel.session.tolist() == [0, 1, 2]


def test_rows_are_lines_of_the_file(tmp_path: Path) -> None:
    assert read(tmp_path, WIDE).rows.tolist() == [[2, 2, -1], [3, -1, 3], [4, 4, 4]]
    assert read(tmp_path, LONG).rows.tolist() == [[4, 7, -1], [5, -1, 2], [6, 8, 3]]


def test_parquet_reads_like_csv_and_newest_first_is_turned_round(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"day": pd.to_datetime(["2020-01-06", "2020-01-03", "2020-01-02"]), "A": [12.0, 11, 10],
         "B": [22, np.nan, 20], "C": [31, 30, np.nan]}
    )  # fmt: skip
    frame.to_parquet(tmp_path / "panel.parquet", index=False)
    config = PanelConfig(
        path=tmp_path / "panel.parquet", symbol="TEST", columns={"timestamp": "day"}
    )
    raw = read_panel(config, tmp_path)
    assert raw.was_newest_first
    assert np.array_equal(raw.panel.close, CLOSES, equal_nan=True)


@pytest.mark.parametrize("is_long", [False, True])
def test_a_duckdb_table_and_a_parquet_with_its_dates_in_the_index_are_read(
    tmp_path: Path, *, is_long: bool
) -> None:
    panel = panel_of(with_comings_and_goings(random_closes(60, 6)))
    table = pd.DataFrame(panel.close, columns=list(panel.symbols))
    table.insert(0, "timestamp", pd.to_datetime(panel.ns))
    table.set_index("timestamp").to_parquet(tmp_path / "panel.parquet")
    if is_long:
        table = panel.to_frame().drop(columns="session").astype({"symbol": str})
    with duckdb.connect(str(tmp_path / "panel.duckdb")) as connection:
        connection.register("prices", table)
        connection.execute("CREATE TABLE prices_stored AS SELECT * FROM prices")
    for settings in ({"path": "panel.duckdb", "table": "prices_stored"}, {"path": "panel.parquet"}):
        raw = read_panel(PanelConfig.model_validate({**settings, "symbol": "TEST"}), tmp_path)
        assert np.array_equal(raw.panel.close, panel.close, equal_nan=True)


@pytest.mark.parametrize("timezone", ["UTC", "America/New_York"])
def test_days_are_those_of_the_source_timezone(tmp_path: Path, timezone: str) -> None:
    frame = pd.DataFrame({"timestamp": pd.to_datetime(days(4)).tz_localize(timezone)})
    for name in "ABC":
        frame[name] = 1.0
    frame.to_parquet(tmp_path / "panel.parquet", index=False)
    config = PanelConfig(path=tmp_path / "panel.parquet", symbol="TEST", timezone=timezone)
    assert read_panel(config, tmp_path).panel.ns.tolist() == days(4).tolist()


def test_a_missing_session_is_a_jump_and_a_gap_in_the_report(tmp_path: Path) -> None:
    raw = read(tmp_path, WIDE.replace("2020-01-03", "2020-01-09").replace("01-06", "01-10"))
    assert raw.panel.session.tolist() == [0, 5, 6]
    config = PanelConfig(path=Path("panel.csv"), symbol="TEST")
    report = assess_panel(raw, config, QualityConfig())
    assert report.missing_bars == 4
    assert [(gap.start, gap.bars) for gap in report.gaps] == [("2020-01-03", 4)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (WIDE.replace("01-03", "01-04"), r"must be sessions of XNYS, was 2020-01-04 \(row 3\)"),
        (
            WIDE.replace("11,,30", "11,x,30"),
            r"B must hold finite numbers or empty cells, was 'x' \(row 3\)",
        ),
        (WIDE.replace("11,,30", "0,,30"), r"must be a finite number > 0, was 0.0 of A \(row 3\)"),
        (WIDE.replace("11,,30", "1e39,,30"), "must be a finite number > 0"),
        (WIDE.replace("01-06", "01-03"), r"increasing in time, was 2020-01-03 after 2020-01-03"),
        (WIDE.replace("timestamp", "when"), "must have the column timestamp"),
        (WIDE.replace(",B,", ",A,"), "must have different names, was A more than once in line 1"),
        (WIDE.replace(",30\n", ",\n").replace(",31\n", ",\n"), "must have a price, was none of C"),
        ("timestamp,A,B\n2020-01-02,1,2\n", "must have 3 to 500 stocks, was 2"),
        ("timestamp,A,B,C\n", "at least one row"),
        (LONG.replace("2020-01-06,B", "2020-01-02,B"), r"was B on 2020-01-02 twice \(rows 7, 8\)"),
        (LONG.replace(",22,9", ",,9"), r"column close must hold finite numbers, was '' \(row 8\)"),
        (LONG.replace(",22,9", ",22,-9"), "volume must be a finite number >= 0"),
        (LONG.replace("01-06,B", "01-06,"), "must name each bar's symbol"),
        (LONG.replace("close", "price"), "must have the columns .* without close"),
        (LONG.replace("2020-01-03,C", "2020-01-03 16:00,C"), "must be dates, was 2020-01-03 16:00"),
    ],
)
def test_a_broken_panel_is_one_clear_error(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(TollgateError, match=message):
        read(tmp_path, text)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"path": None}, "must have one of path and url"),
        ({"interval": "1h"}, "interval of a panel must be 1d"),
        ({"columns": {"closing": "x"}}, "columns must map from"),
    ],
)
def test_an_impossible_source_is_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        PanelConfig.model_validate({"path": "x.csv", "symbol": "TEST", **settings})


def test_a_frame_and_its_panel_are_the_same() -> None:
    close = with_comings_and_goings(random_closes(60, 8))
    panel = panel_of(close, volume=close * 2)
    again = Panel.from_frame(panel.to_frame())
    assert again.symbols == panel.symbols
    for name, values in panel.measures.items():
        assert np.array_equal(again.measures[name], values, equal_nan=True)
    assert again.ns.tolist() == panel.ns.tolist()


def test_a_stock_enters_pauses_leaves_and_comes_back() -> None:
    gone = np.nan
    close = np.array([[gone, 5, gone, 6, gone, gone, gone, 7, 8.0]]).T
    listed = listing(close, 3)
    assert listed.is_listed[:, 0].tolist() == [False, *[True] * 5, False, True, True]
    assert listed.leaves[:, 0].tolist() == [*[False] * 6, True, False, False]
    assert listed.price[:, 0].tolist() == [1, 5, 5, 6, 6, 6, 6, 7, 8]


def assessed(panel: Panel, **settings: object) -> QualityReport:
    rows = np.where(np.isfinite(panel.close), np.arange(len(panel.ns))[:, None], -1)
    config = PanelConfig.model_validate({"path": "x.csv", "symbol": "TEST", **settings})
    return assess_panel(RawPanel(panel, rows, was_newest_first=False), config, QualityConfig())


def test_splits_that_were_not_adjusted_for_are_found_and_known_moves_are_left() -> None:
    close = random_closes(300, 6)
    sound = assessed(panel_of(close))
    assert (sound.split_rows, sound.named["split_rows"]) == ([], [])
    split = close.copy()
    split[100:, 2] /= 2
    split[200:, 4] *= 10
    report = assessed(panel_of(split))
    assert report.split_rows == [100, 200]
    assert [words.split(" ")[0] for words in report.named["split_rows"]] == ["S002", "S004"]
    day = str(np.datetime64(int(days(300)[100]), "ns").astype("datetime64[D]"))
    assert assessed(panel_of(split), known_moves={"S002": [day]}).split_rows == [200]


def test_a_fall_by_nine_tenths_is_believed_where_the_desk_says_so() -> None:
    close = random_closes(300, 6)
    close[100:, 2] /= 10
    report = assessed(panel_of(close))
    assert report.split_rows == [100]
    assert report.unit_error_rows == list(range(100))
    day = str(np.datetime64(int(days(300)[100]), "ns").astype("datetime64[D]"))
    known = assessed(panel_of(close), known_moves={"S002": [day]})
    assert (known.split_rows, known.unit_error_rows) == ([], [])


def test_unit_errors_dead_feeds_and_survivors_are_reported() -> None:
    close = with_comings_and_goings(random_closes(200, 6))
    close[50, 0] *= 100
    close[120:124] = close[119]
    report = assessed(panel_of(close))
    assert report.unit_error_rows == [50]
    assert [words.split(" ")[0] for words in report.named["unit_error_rows"]] == ["S000", "S000"]
    assert report.dead_rows == [120, 121, 122, 123]
    assert report.stocks_that_left == ["S002"]
    assert report.missing_prices > 0
    assert assessed(panel_of(random_closes(50, 4))).stocks_that_left == []


def test_what_was_guessed_of_a_panels_file_is_told_and_settings_of_bars_are_refused(
    tmp_path: Path,
) -> None:
    raw = read(tmp_path, WIDE.replace(",", ";"))
    config = PanelConfig(path=tmp_path / "panel.csv", symbol="TEST")
    assert assess_panel(raw, config, QualityConfig()).notes == [
        "cells are separated by a semicolon"
    ]
    for setting in ({"price_scale": 0.01}, {"stamped_at": "close"}):  # would change nothing
        with pytest.raises(ValueError, match="Extra inputs are not permitted"):
            read(tmp_path, WIDE, **setting)
