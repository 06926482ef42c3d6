"""ccxt and yfinance themselves, against a local server that misbehaves."""

from collections.abc import Callable, Generator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from tenacity import wait_none

from rl_core.base.errors import TollgateError
from rl_core.lab.markets.spot import simulate_bars
from rl_core.market.downloads import paging, providers
from rl_core.market.downloads.download import download
from rl_core.market.downloads.providers import provider_of
from rl_core.market.settings import BarsConfig, DownloadConfig, SessionConfig
from rl_core.steps.context import DeskContext
from rl_core.steps.latest_bars import update_bars
from tests.market.downloads.server import Query, Server, serving

BARS = simulate_bars(2500, seed=4)
HOUR = pd.Timedelta("1h")
OHLCV = ["open", "high", "low", "close", "volume"]
SPOT = {
    "symbol": "BTCUSDT", "status": "TRADING", "baseAsset": "BTC", "quoteAsset": "USDT",
    "baseAssetPrecision": 8, "quotePrecision": 8, "orderTypes": ["LIMIT"], "permissions": ["SPOT"],
    "isSpotTradingAllowed": True, "isMarginTradingAllowed": False, "filters": [],
}  # fmt: skip


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paging, "PATIENCE", wait_none())
    monkeypatch.setattr(providers.Ccxt, "now", answering(BARS["timestamp"].iloc[-1] + HOUR))


class Exchange:
    """Binance's two answers: its markets, and klines."""

    def __init__(self) -> None:
        self.bars, self.most = BARS, 1000
        self.quirk: str | None = None

    def __call__(self, path: str, query: Query) -> Any:
        if path.endswith("exchangeInfo"):
            return {"timezone": "UTC", "serverTime": 0, "symbols": [SPOT]}
        start = pd.Timestamp(int(query["startTime"]), unit="ms", tz="UTC")
        limit = min(int(query["limit"]), self.most)
        rows = self.bars[self.bars["timestamp"] >= start].head(limit)
        if self.quirk == "one row short":
            rows = rows.head(limit - 1)
        if self.quirk == "repeats":
            at = max(int(self.bars["timestamp"].searchsorted(start)) - 1, 0)
            rows = self.bars.iloc[at : at + limit]
        if self.quirk == "oldest":
            rows = self.bars.head(limit)
        times = rows["timestamp"].dt.as_unit("ms").astype("int64")
        values: list[list[float]] = rows[OHLCV].to_numpy().tolist()
        return [
            [int(ms), *(f"{number:.17g}" for number in row)]
            for ms, row in zip(times, values, strict=True)
        ]


@pytest.fixture
def exchange() -> Exchange:
    return Exchange()


@pytest.fixture
def server(exchange: Exchange) -> Generator[Server]:
    with serving(exchange) as found:
        yield found


def settings(server: Server, **changed: object) -> dict[str, Any]:
    return {
        "symbol": "BTC/USDT",
        "interval": "1h",
        "download": {
            "provider": "ccxt", "exchange": "binance", "since": "2015-01-01",
            "options": {
                "enableRateLimit": False,
                "urls": {"api": {"public": f"{server.url}/api/v3"}},
                "options": {"fetchMarkets": {"types": ["spot"]}, "fetchCurrencies": False},
            },
            **changed,
        },
    }  # fmt: skip


def of(server: Server, before: pd.DataFrame | None = None, **changed: object) -> pd.DataFrame:
    raw, is_complete = download(BarsConfig.model_validate(settings(server, **changed)), before)
    assert is_complete
    return raw.frame


@pytest.mark.parametrize("quirk", [None, "one row short", "repeats"])
def test_every_bar_of_an_exchange_comes_once(
    server: Server, exchange: Exchange, quirk: str | None
) -> None:
    exchange.quirk = quirk
    pd.testing.assert_frame_equal(of(server), BARS)


@pytest.mark.parametrize("faults", [[429], [418], [500, 502, 503], ["cut"], [429, "cut", 500]])
def test_too_many_requests_failures_and_cut_answers_are_asked_again(
    server: Server, faults: list[Any]
) -> None:
    server.faults = [None, *faults]  # the markets first
    pd.testing.assert_frame_equal(of(server), BARS)
    assert len(server.asked) == 1 + len(faults) + 3  # three pages


def test_a_server_that_goes_on_failing_is_one_error(server: Server) -> None:
    server.faults = [503] * 50
    with pytest.raises(TollgateError, match=r"binance must answer, failed 7 times: .*not now"):
        of(server)


def test_the_oldest_bars_instead_of_those_asked_for_are_one_error(
    server: Server, exchange: Exchange
) -> None:
    exchange.quirk, exchange.most = "oldest", 100
    with pytest.raises(
        TollgateError, match="failed 7 times: other bars than those since 2015-01-05 04:00"
    ):
        of(server)


def test_markets_and_exchanges_that_do_not_exist_are_one_error(server: Server) -> None:
    with pytest.raises(TollgateError, match=r"market must be a market of binance, was X/Y"):
        of(server, market="X/Y")
    with pytest.raises(TollgateError, match=r"exchange must be one that ccxt .* knows, was nosuch"):
        of(server, exchange="nosuch")
    config = BarsConfig.model_validate({**settings(server), "interval": "7min"})
    with pytest.raises(
        TollgateError, match=r"interval must be one that the source has .*, was 7min"
    ):
        download(config, None)


def test_a_desk_is_updated_resumed_and_kept_over_http(
    server: Server, exchange: Exchange, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole way: an interrupted download keeps what came, and ends as one at once."""
    from tests.conftest import small_desk

    config = settings(server)
    monkeypatch.setattr("rl_core.market.downloads.paging.MOST_BARS", 1000)
    desk = small_desk(tmp_path / "unused").model_dump(mode="json")
    desk["bars"] = config
    whole = DeskContext.open(type(small_desk(tmp_path / "unused")).model_validate(desk), tmp_path)
    server.faults = [
        None,
        None,
        None,
        *[500] * 50,
    ]  # markets, the first page, the second: then no more
    with pytest.raises(TollgateError, match="Updates before are kept"):
        update_bars(whole)
    server.faults = []
    found = update_bars(whole)
    pd.testing.assert_frame_equal(found.latest.read_frame("bars*.parquet"), BARS)
    assert update_bars(whole).is_new is False


def chart(frame: pd.DataFrame, query: Query, zone: str) -> dict[str, Any]:
    """Yahoo's answer of a chart."""
    start, end = int(query["period1"]), int(query["period2"])
    seconds = frame["timestamp"].dt.as_unit("s").astype("int64")
    rows = frame[(seconds >= start) & (seconds < end)]
    quote = {name: [None if np.isnan(v) else v for v in rows[name]] for name in OHLCV}
    result: dict[str, Any] = {
        "meta": {
            "currency": "USD", "symbol": "TEST", "exchangeTimezoneName": zone, "timezone": "EST",
            "gmtoffset": -18000, "instrumentType": "EQUITY", "regularMarketTime": 1, "priceHint": 2,
            "dataGranularity": query["interval"], "validRanges": ["1mo", "max"],
            "currentTradingPeriod": {
                part: {"timezone": "EST", "start": 1, "end": 2, "gmtoffset": -18000}
                for part in ("pre", "regular", "post")
            },
        },
        "timestamp": [int(s) for s in seconds[rows.index]],
        "indicators": {"quote": [quote], "adjclose": [{"adjclose": quote["close"]}]},
    }  # fmt: skip
    return {"chart": {"result": [result], "error": None}}


def daily_stock() -> pd.DataFrame:
    """Sessions of New York, stamped with the opening as Yahoo does; one holiday without a price."""
    days = pd.bdate_range("2020-01-02", periods=60, tz="America/New_York")
    walk = simulate_bars(60, seed=5)[OHLCV]
    walk["volume"] = walk["volume"].round()  # Yahoo counts shares
    frame = walk.assign(timestamp=(days + pd.Timedelta("9h30min")).tz_convert("UTC"))
    frame.loc[days == pd.Timestamp("2020-01-20", tz="America/New_York"), OHLCV] = np.nan
    return frame


def test_yahoos_days_are_dated_by_their_session_and_holidays_are_no_bars(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    frame = daily_stock()
    with serving(lambda _path, query: chart(frame, query, "America/New_York")) as server:
        of_yahoo(monkeypatch, server)
        server.faults = [429, 500, "cut"]
        config = BarsConfig(
            symbol="TEST", interval="1d", sessions=SessionConfig(calendar="XNYS"),
            download=DownloadConfig(provider="yfinance", since=date(2020, 1, 1)),
        )  # fmt: skip
        raw, is_complete = download(config, None)
    assert is_complete
    expected = frame.dropna().reset_index(drop=True)
    days = expected["timestamp"].dt.tz_convert("America/New_York").dt.strftime("%Y-%m-%d")
    assert raw.frame["timestamp"].dt.strftime("%Y-%m-%d %H:%M").tolist() == [
        f"{d} 00:00" for d in days
    ]
    np.testing.assert_allclose(raw.frame[OHLCV], expected[OHLCV])


def of_yahoo(monkeypatch: pytest.MonkeyPatch, server: Server) -> None:
    import yfinance.data
    import yfinance.scrapers.history

    monkeypatch.setattr(yfinance.scrapers.history, "_BASE_URL_", server.url)
    data = yfinance.data.YfData
    monkeypatch.setattr(data, "_get_cookie_and_crumb", answering((None, "basic")))
    monkeypatch.setattr(data, "_set_cookie_strategy", answering(None))
    for name in ("_fetch_ticker_tz", "_get_ticker_tz"):
        monkeypatch.setattr(f"yfinance.base.TickerBase.{name}", answering("America/New_York"))


def answering(value: object) -> Callable[..., Any]:
    def answer(*_arguments: object, **_options: object) -> Any:
        return value

    return answer


def test_a_library_that_is_missing_is_named_with_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch, server: Server
) -> None:
    def refuse(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(providers.importlib, "import_module", refuse)
    with pytest.raises(TollgateError, match=r"pip install 'tollgate\[downloads\]'"):
        provider_of(BarsConfig.model_validate(settings(server)))
