"""Where a desk's prices come from: a file, and what its columns are called there."""

import datetime as dt
import re
from datetime import date
from enum import IntEnum
from pathlib import Path
from typing import Literal, Self
from urllib.parse import parse_qsl, urlsplit

from pydantic import BaseModel, ConfigDict, Field, JsonValue, field_validator, model_validator
from typing_extensions import override

from rl_core.base.units import known_timezone, length_ns

CME = {"CMES", "CME", "CBOT", "COMEX", "NYMEX"}  # names of calendars with its daily break


class SessionConfig(BaseModel):
    """Which exchange calendar a market keeps, and which hours of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    calendar: str = Field(default="CMES", description="a name that exchange-calendars knows")
    regular_calendar: str = Field(
        default="XNYS", description="whose hours count as regular: the stocks behind the index"
    )
    daily_break_minutes: int = Field(
        default=60, ge=0, lt=1440,
        description="a session lasts 24 hours less this at most; 0 for calendars but the CME's",
    )  # fmt: skip
    drop_outside: bool = Field(
        default=False, description="leave out bars outside the sessions; they are reported"
    )

    @model_validator(mode="before")
    @classmethod
    def _break_is_the_calendars(cls, settings: object) -> object:
        """FX and stocks have no daily break to take off."""
        if isinstance(settings, dict) and settings.get("calendar", "CMES") not in CME:
            return {"daily_break_minutes": 0, **settings}
        return settings


# names of what must not stand in settings: they are sealed, shown and kept for years
SECRET = re.compile(
    r"passw|pwd|token|secret|signature|credential|api_?key|private_?key|^sig$|^key$", re.I
)


class SourceConfig(BaseModel):
    """What a table of one instrument and one of many stocks have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = Field(
        default=None,
        description="a file, a folder or a pattern of files; relative to the project's root",
    )
    url: str | None = Field(
        default=None, max_length=2000,
        description="instead of a path: a file, folder or pattern that fsspec reads (s3://…, "
        "https://…), or with a query a database as SQLAlchemy names it; ${NAME} is taken from the "
        "environment when it is read, and never stored",
    )  # fmt: skip
    query: str | None = Field(default=None, description="SELECT of the rows, in a database")
    format: Literal["csv", "parquet", "feather", "duckdb"] | None = Field(
        default=None, description="by the file's ending when left out"
    )
    symbol: str = Field(
        pattern=r"^[A-Za-z0-9^][A-Za-z0-9 ._/:=^&+-]{0,63}$",
        description="name of the instrument, or of the universe",
    )
    interval: str = Field(default="1h", description="a bar's length, for example 1h or 1min")
    columns: dict[str, str] = Field(
        default_factory=dict, description="contract name -> name in the file, where they differ"
    )
    timestamp_format: str | None = Field(
        default=None, description="strptime format; ISO 8601 when left out"
    )
    timestamp_unit: Literal["s", "ms", "us", "ns"] | None = Field(
        default=None, description="of timestamps that are numbers since 1970"
    )
    timezone: str = Field(default="UTC", description="of timestamps that carry none")
    ambiguous: Literal["raise", "infer"] = Field(
        default="raise",
        description="what the hour that a clock change repeats is: an error, or told by the order",
    )
    skip_rows: int = Field(default=0, ge=0, description="title lines above a CSV's header")
    names: tuple[str, ...] = Field(
        default=(), description="of a CSV's columns, in order, if no line names them"
    )
    delimiter: str | None = Field(
        default=None, min_length=1, max_length=1, description="of a CSV; as it shows if left out"
    )
    decimal: Literal[".", ","] | None = Field(
        default=None, description="sign of a CSV's numbers; as it shows if left out"
    )
    table: str | None = Field(default=None, description="table in a DuckDB file")

    @model_validator(mode="after")
    def _interval_and_timezone_are_known(self) -> Self:
        if self.interval_ns <= 0:
            raise ValueError(f"interval must be positive, was {self.interval}")
        known_timezone(self.timezone)
        return self

    @field_validator("url")
    @classmethod
    def _holds_no_password(cls, url: str | None) -> str | None:
        """Settings are sealed, shown and kept for years: no place for a secret."""
        if url is not None:
            user = re.match(r"[^:]+://[^?]*?:([^?]*)@", url)
            given = [user[1]] if user else []
            given += [
                value for name, value in parse_qsl(urlsplit(url).query) if SECRET.search(name)
            ]
            if any(not re.fullmatch(r"\$\{\w+\}", each) for each in given):
                raise ValueError(
                    "url must hold no password: write ${DB_PASSWORD} there, and set DB_PASSWORD in "
                    "the environment"
                )
        return url

    @model_validator(mode="after")
    def _a_query_is_of_a_database(self) -> Self:
        if self.query is not None and self.url is None:
            raise ValueError("query must have a url of a database, was without")
        return self

    @property
    def is_simulated(self) -> bool:
        """Are these prices that nobody ever paid?"""
        return False

    @property
    def market_name(self) -> str:
        """The symbol, and whether it is real."""
        return f"{self.symbol} (SIMULATED)" if self.is_simulated else self.symbol

    @property
    def hours(self) -> SessionConfig | None:
        """When the market is open; None is always."""
        return None

    @property
    def grows(self) -> bool:
        """Do earlier bars stay when the source no longer holds them?"""
        return False

    def name_in_file(self, column: str) -> str:
        """The file's own name of a contract column."""
        return self.columns.get(column, column)

    @property
    def interval_ns(self) -> int:
        """Length of a bar in nanoseconds."""
        return length_ns(self.interval)


# check of the bars -> what its failure does unless the desk says otherwise, and what it guards
BAR_CHECKS: dict[str, tuple[Literal["block", "warn"], str]] = {
    "few_bars_are_missing": (
        "warn",
        "Holes in the source, or a market that is closed at times: set bars.sessions, or look for "
        "a better source.",
    ),
    "bars_are_healthy": ("warn", "Stale, dead or jumping bars: see the quality report."),
    "bars_lie_on_the_grid": (
        "block",
        "Bars of another size, or at other times, than most: they would count as whole ones.",
    ),
    "prices_have_one_unit": ("block", "Prices off by a power of ten: mend their rows."),
    "prices_move": (
        "block",
        "Holes that were filled with the last price: no such price could be traded.",
    ),
    "no_price_is_a_bad_print": (
        "warn",
        "A price that jumps away and is back at once: it makes stops and targets fill that never "
        "did. Mend its rows.",
    ),
    "the_feed_never_died": ("warn", "Bars without volume or change: a dead feed."),
    "volume_has_one_unit": (
        "warn", "Volume in another unit in some rows: costs and features change with it.",
    ),
    "rolls_are_plausible": ("block", "Changes of contract as no exchange makes them."),
    "prices_are_adjusted": ("block", "Unadjusted splits: mend or name known moves."),
    "history_is_unchanged": (
        "warn",
        "Old bars that a source changed since the last snapshot: models before it saw others.",
    ),
    "sentiment_came_in_time": (
        "warn",
        "News that a source added later, with times of before: nobody could have known it. Give "
        "such rows a column `known`.",
    ),
    "universe_is_not_of_survivors": ("warn", "A universe chosen afterwards flatters results."),
    "bars_are_current": (
        "warn",
        "Bars that have closed since the newest one that is there: nothing comes in. Look at the "
        "source, or switch on the desk's update.",
    ),
}  # fmt: skip


# defects that quality.repair may name: prices that cannot be, and checks whose rows can be left out
REPAIRS = (
    "contract", "bars_lie_on_the_grid", "no_price_is_a_bad_print", "prices_have_one_unit",
    "prices_move", "the_feed_never_died",
)  # fmt: skip


class QualityConfig(BaseModel):
    """What counts as suspicious in a quality report."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    stale_bars: int = Field(default=3, ge=2, description="bars in a row with one unchanged OHLC")
    jump_return: float = Field(
        default=0.10, gt=0, description="|close / close - 1| from bar to bar"
    )
    dead_bars: int = Field(
        default=10, ge=2, description="bars in a row without volume or change: a feed that died"
    )
    max_roll_gap: float = Field(
        default=0.03, gt=0, description="|open / close before - 1| from contract to contract"
    )
    health_window_bars: int = Field(default=24, ge=1)
    max_missing_share: float = Field(default=0.02, ge=0, le=1)
    min_mean_health: float = Field(default=0.95, ge=0, le=1)
    max_stale_share: float = Field(
        default=0.05, ge=0, le=1, description="of bars that repeat the prices before them"
    )
    bad_print_moves: float = Field(
        default=40.0, gt=1, description="usual moves by which a price jumps away and is back"
    )
    max_bars_late: int = Field(
        default=2, ge=1, description="bars that may have closed since the newest one"
    )
    repair: tuple[str, ...] = Field(
        default=(),
        description="defects whose bars are left out, and told: "
        f"{', '.join(REPAIRS)}; the source stays as it is",
    )
    severity: dict[str, Literal["block", "warn"]] = Field(
        default_factory=dict, description="check of the bars -> what its failure does"
    )

    @field_validator("severity")
    @classmethod
    def _names_checks(
        cls, severity: dict[str, Literal["block", "warn"]]
    ) -> dict[str, Literal["block", "warn"]]:
        if unknown := sorted(set(severity) - set(BAR_CHECKS)):
            raise ValueError(
                f"severity must name checks of the bars ({', '.join(BAR_CHECKS)}), was "
                f"{', '.join(unknown)}"
            )
        return severity

    @field_validator("repair")
    @classmethod
    def _names_repairs(cls, repair: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := sorted(set(repair) - set(REPAIRS)):
            raise ValueError(
                f"repair must name defects that can be left out ({', '.join(REPAIRS)}), was "
                f"{', '.join(unknown)}"
            )
        return repair

    def blocks(self, check: str) -> bool:
        """True if a failure of the check stops the chain."""
        return self.severity.get(check, BAR_CHECKS[check][0]) == "block"


class Split(IntEnum):
    """The part of history that a row belongs to; PURGED rows belong to none."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    PURGED = 3


class BarSpan(BaseModel):
    """Bars that belong to one part."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: Split
    first: int = Field(ge=0)
    last: int = Field(ge=0, description="included")


class SplitConfig(BaseModel):
    """Shares of the bars by time; the rest, after train and validation, is test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_fraction: float = Field(default=0.70, gt=0, lt=1)
    validation_fraction: float = Field(default=0.15, gt=0, lt=1)
    purge: str = Field(default="24h", description="dropped before each border; >= longest horizon")
    embargo: str = Field(default="0h", description="kept free at each border besides the purge")
    spans: tuple[BarSpan, ...] = Field(
        default=(), description="of a fold of walk-forward, in order; they beat the shares"
    )

    @model_validator(mode="after")
    def _leaves_a_test_span(self) -> "SplitConfig":
        for name in ("purge", "embargo"):
            if length_ns(getattr(self, name)) < 0:
                raise ValueError(f"{name} must not be negative, was {getattr(self, name)}")
        if self.train_fraction + self.validation_fraction >= 1:
            raise ValueError(
                "train_fraction + validation_fraction must be below 1, "
                f"was {self.train_fraction} + {self.validation_fraction}"
            )
        return self


class RandomWalk(BaseModel):
    """A market that is always open, simulated; `simulate_bars` says what the figures mean.

    Another number of bars is another market, and not the same one going on.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    bars: int = Field(default=14_000, ge=2, le=10_000_000)
    seed: int = Field(default=1, ge=0)
    signal_r2: float = Field(default=0.0, ge=0, lt=0.5)
    is_reverting: bool = True
    signal_half_life_bars: float = Field(default=6.0, gt=0)
    volatility: float = Field(default=0.01, gt=0, lt=0.5, description="sd of a bar's log return")


class FuturesSimulation(BaseModel):
    """The future that is simulated where a desk has no file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sessions: int = Field(default=90, ge=2, le=5000, description="trading days")
    start: date = Field(default=date(2024, 1, 2), description="day of the first session")
    seed: int = Field(default=7, ge=0)
    first_price: float = Field(default=17_000.0, gt=0)
    tick_size: float = Field(default=0.25, gt=0)
    daily_volatility: float = Field(default=0.011, gt=0, lt=0.5, description="sd of a day's return")
    overnight_share: float = Field(
        default=0.15, ge=0, lt=1, description="of a day's variance that happens while closed"
    )
    wild_share: float = Field(default=0.3, ge=0, le=1, description="of days, twice as volatile")
    signal_r2: float = Field(
        default=0.0, ge=0, lt=0.5, description="share of a minute's variance that the past explains"
    )
    signal_half_life_minutes: float = Field(default=20.0, gt=0)
    is_reverting: bool = Field(default=False, description="the signal is a reversal, not momentum")
    roll_gap: float = Field(
        default=0.01, ge=0, lt=0.2, description="a new contract's price over the old one's"
    )


PRICE_COLUMNS = ("open", "high", "low", "close")


COLUMNS = ("timestamp", *PRICE_COLUMNS, "volume")


SIDES = ("bid", "ask")


HALF_SPREAD = "half_spread"  # of a market that is quoted on both sides, fraction of the mid


OPTIONAL_COLUMNS = ("contract", HALF_SPREAD)


SIMULATED = "SIM"  # with which the symbol of simulated bars must begin


class DownloadConfig(BaseModel):
    """Where bars are downloaded from. Each update takes those since the newest that is there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    provider: Literal["ccxt", "yfinance"] = Field(description="library that knows the source")
    exchange: str | None = Field(
        default=None, pattern=r"^[a-z0-9]+$", description="of ccxt, such as bitstamp"
    )
    market: str | None = Field(
        default=None,
        max_length=64,
        description="name of the instrument there, such as BTC/USD; the symbol when left out",
    )
    since: date = Field(description="day of the first bar to ask for, UTC")
    overlap_bars: int = Field(
        default=5, ge=1, le=500,
        description="newest bars that are asked for again, so that a correction is seen",
    )  # fmt: skip
    options: dict[str, JsonValue] = Field(
        default_factory=dict,
        description="given to ccxt's exchange as they are, such as {hostname: …}; no secrets",
    )

    @field_validator("options")
    @classmethod
    def _hold_no_secret(cls, options: dict[str, JsonValue]) -> dict[str, JsonValue]:
        """Bars are public: an exchange hands them out without keys."""
        if secret := [name for name in options if SECRET.search(name)]:
            raise ValueError(f"download.options must hold no secret, was with {secret[0]}")
        return options

    @model_validator(mode="after")
    def _ccxt_needs_an_exchange(self) -> Self:
        if (self.exchange is None) == (self.provider == "ccxt"):
            raise ValueError("download.exchange must be set for ccxt, and for nothing else")
        return self


class BarsConfig(SourceConfig):
    """The bars of one instrument. A symbol column, if there is one, must hold its symbol alone."""

    download: DownloadConfig | None = Field(
        default=None, description="bars from an exchange or a vendor instead of a file"
    )
    keep_history: bool = Field(
        default=False,
        description="keep bars that the source no longer holds; always so with a download",
    )
    revisions: Literal["accept", "refuse"] = Field(
        default="accept", description="what an update does where the source changed old bars"
    )

    simulated: FuturesSimulation | None = Field(
        default=None, description="bars of a simulated future instead of a file"
    )
    random_walk: RandomWalk | None = Field(
        default=None, description="bars of a simulated market that is always open, likewise"
    )
    sessions: SessionConfig | None = Field(
        default=None, description="when the market is open; always, when left out"
    )
    stamped_at: Literal["open", "close"] = Field(
        default="open", description="end of the bar at which the source stamps it"
    )
    price_scale: float = Field(
        default=1.0, gt=0, allow_inf_nan=False,
        description="by which the source's prices are multiplied; 0.01 for cents",
    )  # fmt: skip
    volume: Literal["traded", "none"] | None = Field(
        default=None, description="none on a market that reports none; found out when left out"
    )
    known_moves: tuple[dt.date, ...] = Field(
        default=(), description="days whose move looks like a split and is real"
    )
    drop_duplicates: bool = Field(
        default=False, description="keep one of rows that say the same twice, and report them"
    )
    sort: bool = Field(
        default=False, description="put rows that are out of order into order, and report them"
    )

    @model_validator(mode="after")
    def _names_are_known(self) -> Self:
        quotes = [f"{side}_{price}" for side in SIDES for price in PRICE_COLUMNS]
        names = [*COLUMNS, *OPTIONAL_COLUMNS, *quotes, "symbol", "date", "time"]
        if unknown := sorted(set(self.columns) - set(names)):
            known = ", ".join(names)
            raise ValueError(f"columns must map from {known}, was {', '.join(unknown)}")
        return self

    @model_validator(mode="after")
    def _has_one_source(self) -> Self:
        sources = {
            "path": self.path, "url": self.url, "download": self.download,
            "simulated": self.simulated, "random_walk": self.random_walk,
        }  # fmt: skip
        given = [name for name, source in sources.items() if source is not None]
        if len(given) != 1:
            raise ValueError(
                f"bars must have one of {', '.join(sources)}, was {', '.join(given) or 'none'}"
            )
        if self.is_simulated and not self.symbol.startswith(SIMULATED):
            raise ValueError(
                f"the symbol of simulated bars must begin with {SIMULATED}, was {self.symbol}"
            )
        has_minutes = self.sessions is not None and self.interval_ns == length_ns("1min")
        if self.simulated is not None and not has_minutes:
            raise ValueError("simulated bars must have sessions and an interval of 1min")
        if self.random_walk is not None and self.sessions is not None:
            raise ValueError("a random walk must have no sessions: it is always open")
        return self

    @property
    def is_simulated(self) -> bool:
        """Are these prices that nobody ever paid?"""
        return self.simulated is not None or self.random_walk is not None

    @property
    @override
    def grows(self) -> bool:
        return self.download is not None or self.keep_history

    @property
    @override
    def hours(self) -> SessionConfig | None:
        return self.sessions

    @property
    def has_contracts(self) -> bool:
        """Is a column `contract` read where there is one? In markets with sessions, or if named."""
        return self.sessions is not None or "contract" in self.columns


OPTIONAL_MEASURES = ("volume", "unadjusted_close", "traded_value", "market_value")


MEASURES = ("close", *OPTIONAL_MEASURES)


class PanelConfig(SourceConfig):
    """Where a universe's prices come from."""

    interval: str = Field(default="1d", description="always one session")
    layout: Literal["wide", "long"] | None = Field(
        default=None,
        description="a column a stock, or a row a stock and day; long if there is a symbol column",
    )
    calendar: str = Field(
        default="XNYS", description="sessions; a name that exchange-calendars knows, such as 24/7"
    )
    delisted_after_sessions: int = Field(
        default=5, ge=1, description="without a price, after which a stock has left the universe"
    )
    known_moves: dict[str, tuple[dt.date, ...]] = Field(
        default_factory=dict,
        description="symbol -> days whose move looks like a split and is none",
    )

    @property
    @override
    def hours(self) -> SessionConfig:
        return SessionConfig(calendar=self.calendar)

    @model_validator(mode="after")
    def _is_a_daily_file(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("bars of a portfolio desk must have one of path and url")
        if self.interval_ns != length_ns("1d"):
            raise ValueError(f"interval of a panel must be 1d, was {self.interval}")
        names = ["timestamp", "symbol", *MEASURES]
        if unknown := sorted(set(self.columns) - set(names)):
            known = ", ".join(names)
            raise ValueError(f"columns must map from {known}, was {', '.join(unknown)}")
        return self
