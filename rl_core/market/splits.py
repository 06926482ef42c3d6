"""Train, validation and test spans with a purge between them. Shapes: B bars."""

from enum import IntEnum
from itertools import pairwise

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


def split_bars(ns: NDArray[np.int64], config: SplitConfig) -> NDArray[np.int8]:
    """Split of each bar, (B,).

    At each border the rows of the part that is less precious give way, training rows first and test
    rows never: those before it whose target, as long as the purge, reaches into the next span, and
    those after it that a target of the span before still covers.

    Args:
        ns: (B,) strictly increasing timestamps in nanoseconds.
        config: shares and purge.

    Raises:
        TollgateError: a span would be empty.
    """
    split = np.full(len(ns), Split.PURGED, dtype=np.int8)
    spans = config.spans or _by_shares(len(ns), config)
    for span in spans:
        split[span.first : span.last + 1] = span.part
    gap_ns = length_ns(config.purge) + length_ns(config.embargo)
    for before, after in pairwise(spans):
        if before.part == after.part:
            continue
        end, start = ns[min(before.last, len(ns) - 1)], ns[min(after.first, len(ns) - 1)]
        gives_way, rows = (
            (before, ns + gap_ns >= start)
            if before.part < after.part
            else (after, ns <= end + gap_ns)
        )
        inside = np.arange(len(ns))
        inside = (inside >= gives_way.first) & (inside <= gives_way.last)
        split[inside & rows] = Split.PURGED
    for part in (Split.TRAIN, Split.VALIDATION, Split.TEST):
        if not (split == part).any():
            raise TollgateError(
                f"every split must have bars, was none in {part.name.lower()} of {len(ns)} bars "
                f"with a purge of {config.purge}"
            )
    return split


def _by_shares(num_bars: int, config: SplitConfig) -> tuple[BarSpan, ...]:
    borders = [
        0,
        int(num_bars * config.train_fraction),
        int(num_bars * (config.train_fraction + config.validation_fraction)),
        num_bars,
    ]
    parts = (Split.TRAIN, Split.VALIDATION, Split.TEST)
    return tuple(
        BarSpan(part=part, first=first, last=max(end - 1, 0))
        for part, (first, end) in zip(parts, pairwise(borders), strict=True)
    )
