"""Bars behind a URL and in a database: the same bars as from a file, and no secret kept."""

import functools
import http.server
import threading
from collections.abc import Generator
from pathlib import Path
from typing import Any

import fsspec
import pandas as pd
import pytest
from moto.server import ThreadedMotoServer
from sqlalchemy import create_engine

from rl_core.base.errors import TollgateError
from rl_core.lab.markets.spot import simulate_bars
from rl_core.market.panel_readers import read_panel
from rl_core.market.readers import read_bars
from rl_core.market.settings import BarsConfig, PanelConfig
from rl_core.market.sources import table

BARS = simulate_bars(300, seed=9)


def read(tmp_path: Path, **settings: Any) -> pd.DataFrame:
    return read_bars(BarsConfig.model_validate({"symbol": "X", **settings}), tmp_path)


@pytest.fixture
def served(tmp_path: Path) -> Generator[str]:
    """The folder of the test, over HTTP."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as it is there
            """Say nothing of each request, unlike the class above."""

    handler = functools.partial(Quiet, directory=str(tmp_path))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


def test_files_behind_a_url_are_what_they_are_on_the_disk(tmp_path: Path, served: str) -> None:
    BARS.to_parquet(tmp_path / "bars.parquet", index=False)
    BARS.to_csv(tmp_path / "bars.csv.gz", index=False)
    for name in ("bars.parquet", "bars.csv.gz"):
        found = read(tmp_path, url=f"{served}/{name}?version=2")
        pd.testing.assert_frame_equal(found, read(tmp_path, path=tmp_path / name))


def test_an_s3_bucket_is_read_over_http_as_it_lies_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        for name, value in {
            "AWS_ENDPOINT_URL": f"http://{host}:{port}", "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "hidden", "AWS_DEFAULT_REGION": "us-east-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        bucket = fsspec.filesystem("s3", skip_instance_cache=True)
        bucket.mkdir("prices")
        for at, rows in enumerate((BARS[:100], BARS[100:])):
            rows.to_parquet(tmp_path / "part.parquet", index=False)
            bucket.put(str(tmp_path / "part.parquet"), f"prices/btc/part_{at}.parquet")
        for url in ("s3://prices/btc", "s3://prices/btc/part_*.parquet"):
            pd.testing.assert_frame_equal(read(tmp_path, url=url), BARS)
        with pytest.raises(TollgateError, match=r"must be readable, was s3://prices/eth\.parquet"):
            read(tmp_path, url="s3://prices/eth.parquet")
    finally:
        server.stop()


def test_a_bucket_s_folder_and_pattern_are_read_as_one(tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    for at, rows in enumerate((BARS[:100], BARS[100:])):
        with system.open(f"/bucket/btc/part_{at}.csv", "w") as file:
            rows.to_csv(file, index=False)
    for url in ("memory://bucket/btc", "memory://bucket/btc/part_*.csv"):
        found = read(tmp_path, url=url)
        pd.testing.assert_frame_equal(found, BARS, check_exact=False)
    with pytest.raises(TollgateError, match=r"existing file, was memory://bucket/btc/none_\*.csv"):
        read(tmp_path, url="memory://bucket/btc/none_*.csv")


def test_a_database_answers_a_query(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/prices.db")
    BARS.assign(market="X").to_sql("hourly", engine, index=False)
    monkeypatch.setenv("PRICES", f"{tmp_path}/prices.db")
    query = "SELECT timestamp, open, high, low, close, volume FROM hourly WHERE market = 'X'"
    found = read(tmp_path, url="sqlite:///${PRICES}", query=query)
    pd.testing.assert_frame_equal(found, BARS)
    with pytest.raises(TollgateError, match=r"query that answers, was .*no such table: gone"):
        read(tmp_path, url="sqlite:///${PRICES}", query="SELECT * FROM gone")
    monkeypatch.delenv("PRICES")
    with pytest.raises(TollgateError, match="needs PRICES in the environment, was not set"):
        read(tmp_path, url="sqlite:///${PRICES}", query=query)


def test_a_universe_comes_from_a_database_too(tmp_path: Path) -> None:
    days = pd.bdate_range("2020-01-02", periods=5)
    rows = [(f"{d:%Y-%m-%d}", s, 10.0 + i) for i, d in enumerate(days) for s in ("A", "B", "C")]
    frame = pd.DataFrame(rows, columns=["timestamp", "symbol", "close"])
    frame.to_sql("daily", create_engine(f"sqlite:///{tmp_path}/p.db"), index=False)
    config = PanelConfig(
        url=f"sqlite:///{tmp_path}/p.db", query="SELECT * FROM daily", symbol="ABC"
    )
    assert read_panel(config, tmp_path).panel.symbols == ("A", "B", "C")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:hunter2@db/prices",
        "ftp://me:x@host/bars.csv",
        "s3://key:secret@b/x",
    ],
)
def test_a_password_is_no_setting(url: str) -> None:
    with pytest.raises(ValueError, match="url must hold no password: write"):
        BarsConfig(url=url, symbol="X")
    BarsConfig(url="postgresql+psycopg://me:${DB_PASSWORD}@db/prices", query="SELECT 1", symbol="X")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        (
            "nosuch://bucket/bars.csv",
            "nosuch://bucket/bars.csv: ValueError Protocol not known: nosuch",
        ),
        ("http://127.0.0.1:9/bars.csv", "must be readable, was http://127.0.0.1:9/bars.csv"),
        ("file:///no/such/bars.csv", "must be readable, was file:///no/such/bars.csv"),
    ],
)
def test_what_cannot_be_reached_is_one_line(tmp_path: Path, url: str, said: str) -> None:
    with pytest.raises(TollgateError, match=said) as caught:
        read(tmp_path, url=url)
    assert "\n" not in str(caught.value)


def test_a_missing_driver_is_named(tmp_path: Path) -> None:
    with pytest.raises(TollgateError, match="needs the database's driver: No module named 'psyc"):
        read(tmp_path, url="postgresql+psycopg://host/db", query="SELECT 1")
    with pytest.raises(TollgateError, match="Can't load plugin"):
        read(tmp_path, url="nosuch://host/db", query="SELECT 1")


def test_a_file_that_is_too_large_is_left(
    tmp_path: Path, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    BARS.to_csv(tmp_path / "bars.csv", index=False)
    monkeypatch.setattr(table, "LARGEST_FILE", 1000)
    with pytest.raises(TollgateError, match="must have at most 1,000 bytes, had more"):
        read(tmp_path, url=f"{served}/bars.csv")


def test_one_source_and_a_query_only_with_a_url() -> None:
    with pytest.raises(ValueError, match="bars must have one of path, url, download"):
        BarsConfig(url="memory://x", path=Path("x.csv"), symbol="X")
    with pytest.raises(ValueError, match="query must have a url of a database"):
        BarsConfig(path=Path("x.csv"), query="SELECT 1", symbol="X")


def test_what_the_environment_holds_is_in_no_message(
    tmp_path: Path, served: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DB_PASSWORD", "pa/ss@w0rd")
    url = served.replace("http://", "http://me:${DB_PASSWORD}@")
    for where, query in (
        (f"{url}/none.csv?x=1", None),
        ("postgresql://me:${DB_PASSWORD}@h/d", "x"),
    ):
        with pytest.raises(TollgateError) as caught:
            read(tmp_path, url=where, query=query)
        assert "w0rd" not in str(caught.value)
    with pytest.raises(ValueError, match="options must hold no secret, was with apiKey"):
        BarsConfig.model_validate(
            {
                "symbol": "X",
                "download": {
                    "provider": "ccxt", "exchange": "kraken", "since": "2020-01-01",
                    "options": {"apiKey": "abc"},
                },
            }
        )  # fmt: skip


def test_files_of_one_name_in_several_folders_are_all_read(tmp_path: Path) -> None:
    for year, rows in (("2014", BARS[:100]), ("2015", BARS[100:])):
        (tmp_path / year).mkdir()
        rows.to_parquet(tmp_path / year / "bars.parquet", index=False)
    found = read(tmp_path, url=f"file://{tmp_path}/*/bars.parquet")
    pd.testing.assert_frame_equal(found, BARS)


def test_a_database_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(TollgateError, match="must come from an existing database"):
        read(tmp_path, url=f"sqlite:///{tmp_path}/typo.db", query="SELECT 1")
    assert not (tmp_path / "typo.db").exists()
