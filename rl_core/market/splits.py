"""Chronological train, validation and test spans with a purge between them. Shapes: B bars."""

from enum import IntEnum

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rl_core.errors import TollgateError
from rl_core.market.source import length_ns


class Split(IntEnum):
    """The part of history that a row belongs to; PURGED rows belong to none."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    PURGED = 3


class SplitConfig(BaseModel):
    """Shares of the bars by time; the rest, after train and validation, is test."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    train_fraction: float = Field(default=0.70, gt=0, lt=1)
    validation_fraction: float = Field(default=0.15, gt=0, lt=1)
    purge: str = Field(default="24h", description="dropped before each border; >= longest horizon")

    @model_validator(mode="after")
    def _leaves_a_test_span(self) -> "SplitConfig":
        if self.train_fraction + self.validation_fraction >= 1:
            raise ValueError(
                "train_fraction + validation_fraction must be below 1, "
                f"was {self.train_fraction} + {self.validation_fraction}"
            )
        return self


def split_bars(ns: NDArray[np.int64], config: SplitConfig) -> NDArray[np.int8]:
    """Split of each bar, (B,).

    A bar is purged when a target as long as the purge would reach into the next span.

    Args:
        ns: (B,) strictly increasing timestamps in nanoseconds.
        config: shares and purge.

    Raises:
        TollgateError: a span would be empty.
    """
    borders = [
        int(len(ns) * config.train_fraction),
        int(len(ns) * (config.train_fraction + config.validation_fraction)),
    ]
    split = np.full(len(ns), Split.TEST, dtype=np.int8)
    split[: borders[1]] = Split.VALIDATION
    split[: borders[0]] = Split.TRAIN
    purge_ns = length_ns(config.purge)
    for border in borders:
        next_span = ns[min(border, len(ns) - 1)]
        split[(ns < next_span) & (ns + purge_ns >= next_span)] = Split.PURGED
    for part in (Split.TRAIN, Split.VALIDATION, Split.TEST):
        if not (split == part).any():
            raise TollgateError(
                f"every split must have bars, was none in {part.name.lower()} of {len(ns)} bars "
                f"with a purge of {config.purge}"
            )
    return split
