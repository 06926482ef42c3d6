"""The libraries that know exchanges and vendors, as sources of pages."""

import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pandas as pd
from typing_extensions import override

from rl_core.base.errors import TollgateError
from rl_core.base.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, length_ns
from rl_core.market.downloads.paging import Provider, TransientError
from rl_core.market.settings import COLUMNS, BarsConfig, DownloadConfig

TIMEOUT_S = 30
LONG_ANSWER = 2000  # characters, in which an exchange does not say that it has no bars
DEFAULT_PAGE = 500  # bars, of an exchange that does not say


def provider_of(config: BarsConfig) -> Provider:
    """The provider of a desk's download.

    Raises:
        TollgateError: its library is missing, or knows no such exchange, market or bar size.
    """
    if config.download is None:
        raise TypeError("a desk without a download has no provider")
    return PROVIDERS[config.download.provider](config, config.download)


@dataclass
class Ccxt(Provider):
    """An exchange, as ccxt speaks to it."""

    exchange: Any
    market: str
    timeframe: str
    errors: ModuleType
    limit: int

    @property
    @override
    def page_bars(self) -> int:
        return self.limit

    @property
    @override
    def name(self) -> str:
        return str(self.exchange.id)

    @classmethod
    def of(cls, config: BarsConfig, download: DownloadConfig) -> "Ccxt":
        """The exchange that a desk's download names."""
        ccxt = _library("ccxt")
        if download.exchange not in ccxt.exchanges:
            raise TollgateError(
                f"bars.download.exchange must be one that ccxt {ccxt.__version__} knows, was "
                f"{download.exchange}: python -c 'import ccxt; print(ccxt.exchanges)' lists them"
            )
        options = {"enableRateLimit": True, "timeout": TIMEOUT_S * 1000, **download.options}
        exchange = getattr(ccxt, str(download.exchange))(options)
        timeframe = _name_of_length(config, exchange.timeframes or {})
        limits = ((exchange.features or {}).get("spot") or {}).get("fetchOHLCV") or {}
        page = int(limits.get("limit") or DEFAULT_PAGE)
        return cls(exchange, download.market or config.symbol, timeframe, ccxt, page)

    @override
    def now(self) -> pd.Timestamp:  # this machine's clock: few exchanges have one to ask
        return pd.Timestamp.now("UTC")

    @override
    def page(self, since: pd.Timestamp) -> pd.DataFrame:
        try:
            rows = self.exchange.fetch_ohlcv(
                self.market, self.timeframe, since.value // 1_000_000, self.page_bars
            )
        except self.errors.BadSymbol as error:
            raise TollgateError(
                f"bars.download.market must be a market of {self.name}, was {self.market}: {error}"
            ) from None
        except (self.errors.AuthenticationError, self.errors.NotSupported) as error:
            raise TollgateError(f"{self.name} must hand out bars, refused: {error}") from None
        except (self.errors.BaseError, ValueError, TypeError, KeyError, IndexError) as error:
            # a cut or senseless answer ends in any of these, depending on the exchange
            raise TransientError(said_by(error)) from None
        answer = self.exchange.last_http_response or ""
        if not rows and self.exchange.parse_json(answer) is None:
            raise TransientError("an answer that was cut off")  # ccxt takes it for an empty one
        if not rows and len(answer) > LONG_ANSWER:
            raise TransientError(f"other bars than those since {since:%Y-%m-%d %H:%M}")
        return _frame_of(rows)


def said_by(error: Exception) -> str:
    """What went wrong, with its cause, in one line."""
    said = f"{type(error).__name__} {error}".splitlines()[0][:160]
    cause = error.__cause__ or error.__context__
    return f"{said} ({type(cause).__name__})" if cause is not None else said


def _frame_of(rows: list[list[Any]]) -> pd.DataFrame:
    """Ccxt's rows of `[ms, open, high, low, close, volume]` as bars."""
    if any(len(row) < len(COLUMNS) for row in rows):
        raise TransientError("a bar with too few numbers in an answer")
    table = [row[: len(COLUMNS)] for row in rows]
    frame = pd.DataFrame(table, columns=list(COLUMNS)).astype(dict.fromkeys(COLUMNS[1:], "float64"))
    times = pd.to_datetime(frame["timestamp"].astype("int64"), unit="ms", utc=True)
    return frame.assign(timestamp=times.astype("datetime64[ns, UTC]"))


@dataclass
class YFinance(Provider):
    """Yahoo Finance, as yfinance speaks to it; prices are adjusted for splits alone."""

    library: ModuleType
    market: str
    timeframe: str
    interval_ns: int

    @property
    @override
    def page_bars(self) -> int:
        return 100_000

    @property
    @override
    def name(self) -> str:
        return "Yahoo Finance"

    @classmethod
    def of(cls, config: BarsConfig, download: DownloadConfig) -> "YFinance":
        """The ticker that a desk's download names."""
        library = _library("yfinance")
        names = {"1m": 0, "2m": 0, "5m": 0, "15m": 0, "30m": 0, "1h": 0, "1d": 0}
        timeframe = _name_of_length(config, names)
        market = download.market or config.symbol
        return cls(library, market, timeframe, config.interval_ns)

    @override
    def now(self) -> pd.Timestamp:
        return pd.Timestamp.now("UTC")

    @property
    def furthest_back(self) -> pd.Timedelta | None:
        """How long ago the first bar may be asked for; None is for ever. Yahoo's own limits."""
        if self.interval_ns >= NS_PER_DAY:
            return None
        if self.interval_ns >= NS_PER_HOUR:
            return pd.Timedelta(days=729)
        return pd.Timedelta(days=59 if self.interval_ns > NS_PER_MINUTE else 29)

    @override
    def page(self, since: pd.Timestamp) -> pd.DataFrame:
        now = self.now()
        limit = self.furthest_back
        start = since if limit is None else max(since, now - limit)
        end = now + pd.Timedelta(days=1)
        if self.interval_ns == NS_PER_MINUTE:
            end = min(end, start + pd.Timedelta(days=7))  # the most that one answer holds
        try:
            with _raising(self.library):
                frame = self.library.Ticker(self.market).history(
                    start=start.to_pydatetime(), end=end.to_pydatetime(), interval=self.timeframe,
                    auto_adjust=False, actions=False, timeout=TIMEOUT_S,
                )  # fmt: skip
        except self.library.exceptions.YFTzMissingError:
            raise TollgateError(
                f"bars.download.market must be a ticker of Yahoo Finance, was {self.market}"
            ) from None
        except Exception as error:
            raise TransientError(said_by(error)) from None
        return self._bars(frame)

    def _bars(self, frame: pd.DataFrame) -> pd.DataFrame:
        if frame.empty:
            return _frame_of([])
        frame = frame.rename(columns=str.lower)
        prices = frame[list(COLUMNS[1:5])]
        frame = frame[~prices.isna().all(axis=1)]  # a holiday, as Yahoo says it
        index = pd.DatetimeIndex(frame.index)
        # a daily bar is dated by its session; Yahoo stamps it with the exchange's midnight
        times = index.tz_localize(None).normalize() if self.timeframe == "1d" else index
        utc = times.tz_localize("UTC") if times.tz is None else times.tz_convert("UTC")
        found = {name: frame[name].to_numpy(np.float64) for name in COLUMNS[1:]}
        return pd.DataFrame({"timestamp": pd.Series(utc).astype("datetime64[ns, UTC]"), **found})


class _raising:  # noqa: N801 - a context manager
    """yfinance logs what goes wrong and returns nothing, unless told to raise."""

    def __init__(self, library: ModuleType) -> None:
        self.debug = library.config.debug

    def __enter__(self) -> None:
        self.before = self.debug.hide_exceptions
        self.debug.hide_exceptions = False

    def __exit__(self, *_: object) -> None:
        self.debug.hide_exceptions = self.before


PROVIDERS: Mapping[str, Callable[[BarsConfig, DownloadConfig], Provider]] = {
    "ccxt": Ccxt.of,
    "yfinance": YFinance.of,
}


def _library(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise TollgateError(
            f"bars.download.provider {name} needs its library, was without: "
            "pip install 'tollgate[downloads]'"
        ) from None


def _name_of_length(config: BarsConfig, known: Mapping[str, Any]) -> str:
    """The provider's name of a bar's length, such as 1m for 1min."""
    units = {"s": "s", "m": "min", "h": "h", "d": "D"}
    for name in known:
        number, unit = name[:-1], units.get(name[-1:])  # weeks and months are no bars here
        if unit and number.isdecimal() and length_ns(number + unit) == config.interval_ns:
            return name
    raise TollgateError(
        f"bars.interval must be one that the source has ({', '.join(known)}), was {config.interval}"
    )
