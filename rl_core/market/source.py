"""Where a desk's prices come from: a file, and what its columns are called there."""

import re
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import pandas as pd
from pydantic import BaseModel, ConfigDict, Field, model_validator


def length_ns(text: str) -> int:
    """A length of time such as 1min, 24h or 5d, in nanoseconds.

    Raises:
        ValueError: it is none.
    """
    return pd.Timedelta(re.sub(r"d(?=\d|$)", "D", text)).value  # pandas wants days written large


class SourceConfig(BaseModel):
    """What a table of one instrument and one of many stocks have in common."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: Path | None = Field(
        default=None, description="relative to the project's root, or absolute"
    )
    format: Literal["csv", "parquet", "duckdb"] | None = Field(
        default=None, description="by the file's ending when left out"
    )
    symbol: str = Field(min_length=1, description="name of the instrument, or of the universe")
    interval: str = Field(default="1h", description="a bar's length, for example 1h or 1min")
    columns: dict[str, str] = Field(
        default_factory=dict, description="contract name -> name in the file, where they differ"
    )
    timestamp_format: str | None = Field(
        default=None, description="strptime format; ISO 8601 when left out"
    )
    timezone: str = Field(default="UTC", description="of timestamps that carry none")
    skip_rows: int = Field(default=0, ge=0, description="title lines above a CSV's header")
    table: str | None = Field(default=None, description="table or view in a DuckDB file")

    @model_validator(mode="after")
    def _interval_and_timezone_are_known(self) -> Self:
        if self.interval_ns <= 0:
            raise ValueError(f"interval must be positive, was {self.interval}")
        try:
            ZoneInfo(self.timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ValueError(f"timezone must be one such as UTC, was {self.timezone}") from None
        return self

    @property
    def is_simulated(self) -> bool:
        """Are these prices that nobody ever paid?"""
        return False

    @property
    def market_name(self) -> str:
        """The symbol, and whether it is real."""
        return f"{self.symbol} (SIMULATED)" if self.is_simulated else self.symbol

    def name_in_file(self, column: str) -> str:
        """The file's own name of a contract column."""
        return self.columns.get(column, column)

    @property
    def interval_ns(self) -> int:
        """A bar's length in nanoseconds."""
        return length_ns(self.interval)
