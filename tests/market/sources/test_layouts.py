"""Files as people bring them: each layout is read, or refused with the setting that reads it."""

import bz2
import gzip
import zipfile
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyarrow import feather

from rl_core.base.errors import TollgateError
from rl_core.lab.markets.spot import simulate_bars
from rl_core.market.bars import nanoseconds
from rl_core.market.quality import data_health
from rl_core.market.readers import RawBars, checked_bars, read_bars, read_raw_bars
from rl_core.market.sessions import trading_hours
from rl_core.market.settings import BarsConfig, QualityConfig
from rl_core.market.sources.table import read_table
from rl_core.trading.impact import impact_scale

HEADER = "timestamp,open,high,low,close,volume"
ROWS = (
    "2024-02-05 00:00:00,100.5,101.25,99.75,101,20",
    "2024-02-05 01:00:00,101,101.5,100,100.25,30",
    "2024-02-05 02:00:00,100.25,102,100,101.75,25",
)
TEXT = "\n".join([HEADER, *ROWS, ""])


def read(path: Path, **settings: object) -> RawBars:
    return read_raw_bars(
        BarsConfig.model_validate({"path": path, "symbol": "XYZ", **settings}), path.parent
    )


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.fixture
def plain(tmp_path: Path) -> pd.DataFrame:
    return read(written(tmp_path / "plain.csv", TEXT)).frame


def same(raw: RawBars, plain: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(raw.frame, plain)


def test_a_delimiter_shows_in_the_first_line(tmp_path: Path, plain: pd.DataFrame) -> None:
    for sign, name in ((";", "a semicolon"), ("\t", "a tab"), ("|", "a bar")):
        raw = read(written(tmp_path / "x.csv", TEXT.replace(",", sign)))
        same(raw, plain)
        assert raw.notes == [f"cells are separated by {name}"]
    assert read(written(tmp_path / "x.csv", TEXT)).notes == []
    same(read(written(tmp_path / "x.csv", TEXT.replace(",", "~")), delimiter="~"), plain)


def test_a_comma_is_the_decimal_sign_where_no_other_reading_is_left(
    tmp_path: Path, plain: pd.DataFrame
) -> None:
    text = TEXT.replace(",", ";").replace(".", ",")
    raw = read(written(tmp_path / "x.csv", text))
    same(raw, plain)
    assert "a comma is the decimal sign" in raw.notes
    with pytest.raises(TollgateError, match=r"column open must hold finite numbers, was '100,5'"):
        read(written(tmp_path / "x.csv", text), decimal=".")


def test_a_comma_that_may_part_thousands_is_no_decimal_sign(tmp_path: Path) -> None:
    mixed = TEXT.replace(",", ";").replace(";20\n", ";1,234\n")  # 1,234 beside 100.5
    with pytest.raises(TollgateError, match="one decimal sign, was a comma in 1,234 and a point"):
        read(written(tmp_path / "x.csv", mixed))
    whole = "timestamp;open;high;low;close;volume\n2024-02-05;38,915;38,990;38,900;38,950;20\n"
    with pytest.raises(TollgateError, match=r"read in one way, was 38,915: set bars\.decimal"):
        read(written(tmp_path / "x.csv", whole))
    found = read(written(tmp_path / "x.csv", whole), decimal=",")
    assert found.frame["open"].tolist() == [38.915]


@pytest.mark.parametrize("header", ["Volume BTC,Volume USDT", "amount,trades", "Qty,x"])
def test_a_column_that_may_be_volume_is_no_market_without(tmp_path: Path, header: str) -> None:
    text = TEXT.replace("volume", header).replace(",20\n", ",20,1\n").replace(",30\n", ",30,1\n")
    path = written(tmp_path / "x.csv", text.replace(",25\n", ",25,1\n"))
    with pytest.raises(
        TollgateError, match=f"set bars.columns: {{volume: {header.split(',', maxsplit=1)[0]}}}"
    ):
        read(path)
    named = read(path, columns={"volume": header.split(",", maxsplit=1)[0]})
    assert named.frame["volume"].tolist() == [20.0, 30.0, 25.0]
    assert read(path, volume="none").frame["volume"].isna().all()


def test_a_volume_that_pauses_is_known_bar_by_bar_and_not_by_the_file(tmp_path: Path) -> None:
    bars = simulate_bars(600, seed=1)
    bars.loc[:299, "volume"] = 0.0  # the file has volume, its first half none
    hours = trading_hours(None, nanoseconds(bars["timestamp"]), 3_600_000_000_000)
    position = hours.position(nanoseconds(bars["timestamp"]))
    whole = data_health(bars, position, QualityConfig())
    volatility = np.full(600, 0.01)
    for end in (100, 300, 301, 450):
        prefix = bars.iloc[:end]
        known = data_health(prefix, position[:end], QualityConfig())
        np.testing.assert_array_equal(known, whole[:end])
        scale = impact_scale(prefix, volatility[:end], 1.0)
        np.testing.assert_array_equal(scale, impact_scale(bars, volatility, 1.0)[:end])


def test_a_decimal_comma_that_is_set_is_read_in_quoted_cells_and_below_whole_numbers(
    tmp_path: Path,
) -> None:
    rows = [f"2024-02-05 {n // 60:02d}:{n % 60:02d},10,10,10,10,5" for n in range(300)]
    rows += ['2024-02-05 05:00,10,"10,5","9,5",10,5']
    path = written(tmp_path / "x.csv", "\n".join([HEADER, *rows, ""]))
    assert read(path, decimal=",", interval="1min").frame["high"].iloc[-1] == 10.5


def test_what_metatrader_exports_is_read(tmp_path: Path, plain: pd.DataFrame) -> None:
    lines = ["<DATE>\t<TIME>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<TICKVOL>\t<VOL>\t<SPREAD>"]
    for row in ROWS:
        time, *cells = row.split(",")
        day, hour = time.replace("-", ".").split(" ")
        lines.append("\t".join([day, hour, *cells[:4], "7", cells[4], "2"]))
    raw = read(written(tmp_path / "mt5.csv", "\n".join([*lines, ""])))
    same(raw, plain)  # <VOL> is what was traded, <TICKVOL> only counts quotes
    assert "columns <DATE> and <TIME> are joined" in raw.notes
    counted = "\n".join(["\t".join(line.split("\t")[:7]) for line in [*lines, ""]])
    assert "column <TICKVOL> is volume, a count of quotes" in (
        read(written(tmp_path / "mt5.csv", counted)).notes
    )


def test_date_and_time_may_be_named_by_the_desk(tmp_path: Path, plain: pd.DataFrame) -> None:
    text = TEXT.replace("timestamp", "day,clock").replace("2024-02-05 ", "2024-02-05,")
    columns = {"date": "day", "time": "clock"}
    same(read(written(tmp_path / "x.csv", text), columns=columns), plain)
    both = "\n".join([f"timestamp,{line}" for line in text.splitlines()] + [""])
    same(read(written(tmp_path / "y.csv", both), columns=columns), plain)  # mapped: no other counts
    with pytest.raises(TollgateError, match="day and hour, was without hour"):
        read(written(tmp_path / "x.csv", text), columns={"date": "day", "time": "hour"})


def test_a_file_without_a_header_needs_names(tmp_path: Path, plain: pd.DataFrame) -> None:
    path = written(tmp_path / "x.csv", "\n".join([*ROWS, ""]))
    with pytest.raises(TollgateError, match=r"name its columns in line 1, was data .* bars\.names"):
        read(path)
    raw = read(path, names=["timestamp", "open", "high", "low", "close", "volume"])
    same(raw, plain)
    assert raw.row_numbers.tolist() == [1, 2, 3]


def compressed(path: Path, ending: str) -> Path:
    target, content = path.with_name(f"x.csv{ending}"), TEXT.encode()
    match ending:
        case ".gz":
            target.write_bytes(gzip.compress(content))
        case ".bz2":
            target.write_bytes(bz2.compress(content))
        case ".zst":
            with pa.output_stream(str(target), compression="zstd") as stream:
                stream.write(content)
        case _:
            with zipfile.ZipFile(target, "w") as archive:
                archive.writestr("bars.csv", content)
    return target


@pytest.mark.parametrize("ending", [".gz", ".bz2", ".zst", ".zip"])
def test_compressed_files_are_read_and_broken_ones_are_one_error(
    tmp_path: Path, plain: pd.DataFrame, ending: str
) -> None:
    path = compressed(tmp_path / "x", ending)
    same(read(path), plain)
    path.write_bytes(path.read_bytes()[:40])
    with pytest.raises(TollgateError) as error:
        read(path)
    assert "bars must be a readable csv file" in str(error.value)
    assert "\n" not in str(error.value)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path, plain: pd.DataFrame) -> None:
    (tmp_path / "x.csv").write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    same(read(tmp_path / "x.csv"), plain)


def test_headers_that_are_repeated_are_left_out_and_said(
    tmp_path: Path, plain: pd.DataFrame
) -> None:
    glued = "\n".join([HEADER, ROWS[0], HEADER, *ROWS[1:], ""])
    raw = read(written(tmp_path / "x.csv", glued))
    same(raw, plain)
    assert raw.notes == ["1 lines that only repeat the column names are left out"]
    assert raw.row_numbers.tolist() == [2, 4, 5]


def yahoo(plain: pd.DataFrame, tickers: list[str]) -> pd.DataFrame:
    """As `yf.download` gives it: columns of two levels, the time as index."""
    names = ["Close", "High", "Low", "Open", "Volume"]
    columns = pd.MultiIndex.from_product([names, tickers], names=["Price", "Ticker"])
    values = {(n, t): plain[n.lower()].to_numpy() * (1 + tickers.index(t)) for n, t in columns}
    frame = pd.DataFrame(values, columns=columns)
    frame.index = pd.DatetimeIndex(plain["timestamp"].dt.tz_localize(None), name="Datetime")
    return frame


@pytest.mark.parametrize("tickers", [["XYZ"], ["XYZ", "OTHER"]])
def test_what_yfinance_writes_is_read(
    tmp_path: Path, plain: pd.DataFrame, tickers: list[str]
) -> None:
    frame = yahoo(plain, tickers)
    frame.to_parquet(tmp_path / "yf.parquet")
    frame.to_csv(tmp_path / "yf.csv")
    for name in ("yf.parquet", "yf.csv"):
        raw = read(tmp_path / name)
        same(raw, plain)
        assert "columns of ticker XYZ" in " ".join(raw.notes)
    mapped = {name: name.title() for name in ("open", "high", "low", "close", "volume")}
    same(read(tmp_path / "yf.csv", columns={"timestamp": "Price", **mapped}), plain)


def test_of_several_tickers_the_desks_is_taken_or_none(tmp_path: Path, plain: pd.DataFrame) -> None:
    yahoo(plain, ["A", "B"]).to_parquet(tmp_path / "yf.parquet")
    with pytest.raises(TollgateError, match=r"one of the file's tickers \(A, B\), was XYZ"):
        read(tmp_path / "yf.parquet")


def test_what_freqtrade_writes_is_read(tmp_path: Path, plain: pd.DataFrame) -> None:
    frame = plain.rename(columns={"timestamp": "date"})
    feather.write_feather(frame, str(tmp_path / "XYZ_USDT-1h.feather"))
    same(read(tmp_path / "XYZ_USDT-1h.feather"), plain)


def test_a_folder_and_a_pattern_are_read_as_one_file(tmp_path: Path, plain: pd.DataFrame) -> None:
    folder = tmp_path / "parts"
    folder.mkdir()
    written(folder / "b.csv", "\n".join([HEADER, *ROWS[2:], ""]))
    written(folder / "a.csv", "\n".join([HEADER, *ROWS[:2], ""]))
    written(tmp_path / "notes.md", "nothing")
    for path in (folder, folder / "*.csv"):
        raw = read(path)
        same(raw, plain)
        assert raw.notes == ["2 files, a.csv to b.csv, rows counted through"]
    written(folder / "c.csv", "\n".join(["time,price", "1,2", ""]))
    with pytest.raises(
        TollgateError, match=r"must have the same columns, was time, price in c\.csv"
    ):
        read(folder)
    with pytest.raises(TollgateError, match="must come from an existing file"):
        read(folder / "z*.csv")


@pytest.mark.parametrize(
    ("unit", "digits"), [("s", ""), ("ms", "000"), ("us", "000000"), ("ns", "000000000")]
)
def test_epochs_are_offered_and_read_by_their_unit(
    tmp_path: Path, plain: pd.DataFrame, unit: str, digits: str
) -> None:
    lines = [
        f"{1707091200 + 3600 * number}{digits}," + row.split(",", 1)[1]
        for number, row in enumerate(ROWS)
    ]
    path = written(tmp_path / "x.csv", "\n".join([HEADER, *lines, ""]))
    with pytest.raises(TollgateError, match=f"bars.timestamp_unit: {unit} if it means 2024-02-05"):
        read(path)
    same(read(path, timestamp_unit=unit), plain)
    table = pd.read_csv(path)
    table.to_parquet(tmp_path / "x.parquet")
    same(read(tmp_path / "x.parquet", timestamp_unit=unit), plain)


def test_an_epoch_in_the_wrong_unit_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", f"{HEADER}\n1707091200000,1,1,1,1,1\n")
    with pytest.raises(TollgateError, match=r"set another bars\.timestamp_unit"):
        read(path, timestamp_unit="s")
    path = written(tmp_path / "x.csv", f"{HEADER}\n1707091200,1,1,1,1,1\n")
    with pytest.raises(TollgateError, match="which is 1970-01-20: set another"):
        read(path, timestamp_unit="ms")


@pytest.mark.parametrize("given", ["%s", "%", "%Q", "%Y-%m-%d %s", "\\d", "%-H" * 40])
def test_no_timestamp_format_is_a_traceback(tmp_path: Path, given: str) -> None:
    with pytest.raises(TollgateError) as error:
        read(written(tmp_path / "x.csv", TEXT), timestamp_format=given)
    assert "timestamp" in str(error.value)


def test_bars_stamped_at_their_close_are_moved_to_their_open(
    tmp_path: Path, plain: pd.DataFrame
) -> None:
    later = TEXT.replace("02:00:00", "03:00:00").replace("01:00:00", "02:00:00")
    later = later.replace("00:00:00", "01:00:00")
    same(read(written(tmp_path / "x.csv", later), stamped_at="close"), plain)
    last_ms = TEXT.replace(":00:00,", ":59:59.999,")
    path = written(tmp_path / "x.csv", last_ms)
    with pytest.raises(TollgateError, match=r"as a bar's end is stamped: set bars.stamped_at"):
        read(path)
    same(read(path, stamped_at="close"), plain)
    whole_seconds = written(path, TEXT.replace(":00:00,", ":59:59,"))
    with pytest.raises(TollgateError, match=r"as a bar's end is stamped: set bars.stamped_at"):
        read(whole_seconds)
    same(read(whole_seconds, stamped_at="close"), plain)
    floats = pd.DataFrame(
        {**{n: plain[n] for n in plain.columns[1:]},
         "timestamp": [1707091200.0 + 3600 * (n + 1) - 0.001 for n in range(3)]}
    )  # fmt: skip
    floats.to_parquet(tmp_path / "x.parquet")
    with pytest.raises(TollgateError, match="as a bar's end is stamped"):
        read(tmp_path / "x.parquet", timestamp_unit="s")
    same(read(tmp_path / "x.parquet", timestamp_unit="s", stamped_at="close"), plain)


def test_bars_ahead_of_now_are_an_error_and_not_one_candle_less(tmp_path: Path) -> None:
    config = BarsConfig(path=written(tmp_path / "x.csv", TEXT), symbol="XYZ")
    with pytest.raises(
        TollgateError, match=r"was 2024-02-05 01:00 \(rows 3, 4\): set bars.timezone"
    ):
        read_raw_bars(config, tmp_path, pd.Timestamp("2024-02-05 00:30", tz="UTC"))
    shuffled = "\n".join([HEADER, ROWS[1], ROWS[2], ROWS[0], ""])
    sorted_ = BarsConfig(path=written(tmp_path / "x.csv", shuffled), symbol="XYZ", sort=True)
    raw = read_raw_bars(sorted_, tmp_path, pd.Timestamp("2024-02-05 02:30", tz="UTC"))
    assert [f"{t:%H}" for t in raw.frame["timestamp"]] == ["01", "00"]  # as they stand, but 02:00


@pytest.mark.parametrize("stamp", ["2024020500", "202402050030"])
def test_a_number_that_reads_as_a_date_is_no_epoch(tmp_path: Path, stamp: str) -> None:
    path = written(tmp_path / "x.csv", f"{HEADER}\n{stamp},1,1,1,1,1\n")
    with pytest.raises(TollgateError, match=r"set bars\.timestamp_format"):
        read(path)


AUTUMN = [f"2024-11-03 {hour:02d}:00:00" for hour in (0, 1, 1, 2)]


def test_the_hour_that_autumn_repeats_is_told_by_its_order(tmp_path: Path) -> None:
    rows = [f"{time},10,10,10,{10 + n},1" for n, time in enumerate(AUTUMN)]
    path = written(tmp_path / "x.csv", "\n".join([HEADER, *rows, ""]))
    text = path.read_text().replace("10,10,10,", "10,20,5,")
    written(path, text)
    with pytest.raises(TollgateError, match=r"was 2024-11-03 01:00:00 \(rows 3, 4\).*infer"):
        read(path, timezone="America/New_York")
    raw = read(path, timezone="America/New_York", ambiguous="infer")
    assert [f"{t:%H:%M}" for t in raw.frame["timestamp"]] == ["04:00", "05:00", "06:00", "07:00"]
    once = "\n".join([text.splitlines()[0], *text.splitlines()[1:3], text.splitlines()[4], ""])
    with pytest.raises(TollgateError, match="the hour must stand twice, in order"):
        read(written(path, once), timezone="America/New_York", ambiguous="infer")


def test_a_last_candle_that_is_still_open_is_not_used(tmp_path: Path) -> None:
    path = written(tmp_path / "x.csv", TEXT)
    config = BarsConfig(path=path, symbol="XYZ")
    for now, bars in (("2024-02-05 02:59", 2), ("2024-02-05 03:00", 3)):
        raw = read_raw_bars(config, tmp_path, pd.Timestamp(now, tz="UTC"))
        assert len(raw.frame) == bars
    told = read_raw_bars(config, tmp_path, pd.Timestamp("2024-02-05 02:59", tz="UTC")).notes
    assert told == ["the last bar (row 4) closes at 2024-02-05 03:00 UTC: not used"]
    begun = TEXT + "2024-02-05 03:00:00,101.75,101.75,101.75,101.75,0.02\n"
    raw = read(written(path, begun))
    assert raw.notes == ["the last bar (row 5) had only begun: not used"]
    quiet = TEXT + "2024-02-05 03:00:00,101.75,101.75,101.75,101.75,12\n"
    assert len(read(written(path, quiet)).frame) == 4  # one price alone says nothing


def test_a_high_that_misses_the_close_by_rounding_reaches_it(tmp_path: Path) -> None:
    close = 101.75
    below = float(np.nextafter(close, 0))
    text = TEXT.replace("100.25,102,100,101.75", f"100.25,{below!r},100,{close!r}")
    raw = read(written(tmp_path / "x.csv", text))
    assert raw.frame["high"].iloc[2] == close
    assert raw.notes == ["1 highs or lows that missed the open or close by rounding reach it"]
    text = TEXT.replace("100.25,102,100,101.75", "100.25,101.7499,100,101.75")
    config = BarsConfig(path=written(tmp_path / "x.csv", text), symbol="XYZ")
    with pytest.raises(TollgateError, match="high >= open and close, was not in row 4"):
        read_bars(config, tmp_path)


def test_prices_in_cents_are_scaled(tmp_path: Path, plain: pd.DataFrame) -> None:
    raw = read(written(tmp_path / "x.csv", TEXT), price_scale=0.01)
    assert raw.frame["close"].tolist() == [p * 0.01 for p in plain["close"]]
    assert raw.frame["volume"].tolist() == plain["volume"].tolist()


@pytest.mark.parametrize("column", [",0", ""])
def test_a_market_without_volume_is_found_and_said(tmp_path: Path, column: str) -> None:
    rows = [row.rsplit(",", 1)[0] + column for row in ROWS]
    header = HEADER if column else HEADER.removesuffix(",volume")
    path = written(tmp_path / "x.csv", "\n".join([header, *rows, ""]))
    raw = read(path)
    assert raw.frame["volume"].isna().all()
    assert "a market that reports none (volume: none)" in raw.notes[0]
    assert read(path, volume="none").notes == []
    with pytest.raises(TollgateError, match=r"was without volume|was 0 in every row"):
        read(path, volume="traded")


def overlapping(conflict: bool) -> str:
    again = ROWS[1].replace("100.25", "100.5" if conflict else "100.25")
    return "\n".join([HEADER, *ROWS[:2], again, ROWS[2], ""])


def test_two_downloads_glued_together(tmp_path: Path, plain: pd.DataFrame) -> None:
    def bars(conflict: bool, **settings: object) -> pd.DataFrame:
        path = written(tmp_path / "x.csv", overlapping(conflict))
        config = BarsConfig.model_validate({"path": path, "symbol": "XYZ", **settings})
        return checked_bars(read_raw_bars(config, tmp_path), config)

    with pytest.raises(TollgateError, match=r"twice \(rows 3, 4\): set bars\.drop_duplicates"):
        bars(conflict=False)
    pd.testing.assert_frame_equal(bars(conflict=False, drop_duplicates=True), plain)
    with pytest.raises(
        TollgateError, match=r"a close of 100.25 and 100.5 at 2024-02-05 01:00 \(rows 3, 4\)"
    ):
        bars(conflict=True, drop_duplicates=True)


# ---- databases run nothing of their own


@pytest.fixture
def database(tmp_path: Path, plain: pd.DataFrame) -> Path:
    path = tmp_path / "bars.duckdb"
    secret = written(tmp_path / "secret.csv", "a,b\nhidden,1\n")
    with duckdb.connect(str(path)) as connection:
        connection.register("plain", plain)
        connection.execute('CREATE TABLE "odd ""name" AS SELECT * FROM plain')
        connection.execute("CREATE TABLE hourly AS SELECT * FROM plain")
        connection.execute(f"CREATE VIEW stolen AS SELECT * FROM read_csv('{secret}')")
        connection.execute("CREATE SCHEMA other")
        connection.execute("CREATE TABLE other.Stolen AS SELECT * FROM plain")
        connection.execute("CREATE VIEW endless AS SELECT count(*) FROM range(1000000000000)")
    return path


def test_a_table_is_read_whatever_it_is_called(database: Path, plain: pd.DataFrame) -> None:
    same(read(database, table="hourly"), plain)
    same(read(database, table='odd "name'), plain)


@pytest.mark.parametrize(
    "table", ["stolen", "Stolen", "endless", "secret.csv", "/etc/passwd", None]
)
def test_a_view_a_path_and_nothing_are_no_tables(database: Path, table: str | None) -> None:
    with pytest.raises(TollgateError) as error:
        read(database, table=table)
    assert "must name a table of bars.duckdb (hourly, odd" in str(error.value)
    assert "hidden" not in str(error.value)


def test_a_file_that_is_no_database_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "x.duckdb").write_bytes(b"no database")
    with pytest.raises(TollgateError, match="bars must be a readable duckdb file"):
        read(tmp_path / "x.duckdb", table="t")


# ---- whatever a file holds, one error and no traceback


def outcome(path: Path) -> str:
    """What reading comes to: bars, or the one error that it ends in."""
    try:
        raw = read(path)
    except TollgateError as error:
        return str(error)
    volume = raw.frame["volume"]  # unknown in all rows, if it lost its name
    is_whole = np.isfinite(raw.frame[["open", "high", "low", "close"]]).all(axis=None)
    return f"{is_whole and (np.isfinite(volume).all() or volume.isna().all())}"


@given(st.binary(max_size=300))
def test_any_bytes_are_bars_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = tmp_path_factory.mktemp("any") / "x.csv"
    path.write_bytes(content)
    said = outcome(path)
    assert said != "False"
    assert "\n" not in said


@given(st.integers(0, len(TEXT) - 1), st.sampled_from("\0\"';,\t\n\r€9-"))
def test_any_one_character_more_is_bars_or_one_error(
    tmp_path_factory: pytest.TempPathFactory, place: int, sign: str
) -> None:
    path = tmp_path_factory.mktemp("one") / "x.csv"
    path.write_text(TEXT[:place] + sign + TEXT[place:], newline="")
    said = outcome(path)
    assert said != "False"
    assert "\n" not in said


def test_rows_are_lines_of_the_file_below_titles_and_blank_lines(tmp_path: Path) -> None:
    text = "\n".join(["a title", HEADER, ROWS[0], "", ROWS[1], ""])
    config = BarsConfig(path=written(tmp_path / "x.csv", text), symbol="XYZ", skip_rows=1)
    assert read_table(config, tmp_path / "x.csv").rows.tolist() == [3, 5]
