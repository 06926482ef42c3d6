"""Folds of a walk forward: where each trains, validates and is tested. Shapes: B bars.

A fold sees no bar after its test span. Expanding and rolling folds stand at fixed times from the
first bar, so that bars which come later add folds and change none. Combinatorial folds divide the
whole range and leave every choice of groups out once.
"""

from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, model_validator

from rl_core.errors import TollgateError
from rl_core.market.source import length_ns
from rl_core.market.splits import BarSpan, Split


class WalkForwardConfig(BaseModel):
    """How a desk is walked forward."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    scheme: Literal["expanding", "rolling", "combinatorial"] = "expanding"
    train: str = Field(
        default="365d", description="before the first fold; of every fold if rolling"
    )
    test: str = Field(default="90d", description="of every fold")
    folds: PositiveInt | None = Field(default=None, description="at most so many, from the first")
    validation_fraction: float = Field(
        default=0.15, gt=0, lt=0.5, description="of a fold's training bars, at their end"
    )
    embargo: str = Field(default="24h", description="kept free at each border besides the purge")
    groups: int = Field(default=6, ge=3, le=12, description="of combinatorial folds")
    test_groups: int = Field(default=2, ge=1, description="that each combinatorial fold leaves out")
    seeds: tuple[int, ...] = Field(default=(42, 123, 456), min_length=1)

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "WalkForwardConfig":
        for name in ("train", "test"):
            if length_ns(getattr(self, name)) <= 0:
                raise ValueError(f"{name} must be positive, was {getattr(self, name)}")
        if length_ns(self.embargo) < 0:
            raise ValueError(f"embargo must not be negative, was {self.embargo}")
        if self.folds is not None and self.scheme == "combinatorial":
            raise ValueError("folds must be left out with combinatorial, which has all its choices")
        if self.test_groups >= self.groups:
            raise ValueError(
                f"test_groups must be fewer than groups, was {self.test_groups} of {self.groups}"
            )
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds must differ and be >= 0, was {list(self.seeds)}")
        return self


@dataclass(frozen=True)
class Fold:
    """One training and the spans that it is tested on."""

    name: str
    spans: tuple[BarSpan, ...]  # in order of time; what is in none is not used
    groups: tuple[int, ...]  # of its test spans, in order of time

    @property
    def test(self) -> list[BarSpan]:
        """What it is tested on."""
        return [span for span in self.spans if span.part == Split.TEST]

    @property
    def last_bar(self) -> int:
        """The last bar that it knows."""
        return max(span.last for span in self.spans)


def make_folds(ns: NDArray[np.int64], first_bar: int, config: WalkForwardConfig) -> list[Fold]:
    """Every fold of a scheme, in order.

    Args:
        ns: (B,) timestamps of all bars.
        first_bar: first with complete features.
        config: the scheme.

    Raises:
        TollgateError: the bars hold no whole fold.
    """
    if config.scheme == "combinatorial":
        return combinatorial_folds(len(ns), first_bar, config)
    train, test = length_ns(config.train), length_ns(config.test)
    folds: list[Fold] = []
    while config.folds is None or len(folds) < config.folds:
        begins = ns[0] + train + len(folds) * test
        first, end = (int(np.searchsorted(ns, moment)) for moment in (begins, begins + test))
        if end >= len(ns):  # its last bars are yet to come
            break
        oldest = 0 if config.scheme == "expanding" else int(np.searchsorted(ns, begins - train))
        oldest = max(oldest, first_bar)
        validated = first - int((first - oldest) * config.validation_fraction)
        number = len(folds)
        folds.append(
            Fold(
                f"{config.scheme}_{number:02d}",
                (
                    BarSpan(part=Split.TRAIN, first=oldest, last=validated - 1),
                    BarSpan(part=Split.VALIDATION, first=validated, last=first - 1),
                    BarSpan(part=Split.TEST, first=first, last=end - 1),
                ),
                (number,),
            )
        )
    if not folds:
        days = (ns[-1] - ns[0]) / length_ns("1d")
        raise TollgateError(
            f"bars must hold {config.train} to train on and {config.test} to test on, was "
            f"{days:.0f} days: see walk_forward in the desk's settings"
        )
    return folds


def combinatorial_folds(num_bars: int, first_bar: int, config: WalkForwardConfig) -> list[Fold]:
    """Every choice of test groups; the end of the training bars validates.

    Source: Lopez de Prado, Advances in financial machine learning (2018), section 12.3.
    """
    edges = np.linspace(first_bar, num_bars, config.groups + 1).astype(int)
    groups = [(int(a), int(b) - 1) for a, b in pairwise(edges)]
    folds: list[Fold] = []
    for chosen in combinations(range(config.groups), config.test_groups):
        kept = [number for number in range(config.groups) if number not in chosen]
        spans: list[BarSpan] = []
        left = int(sum(groups[n][1] - groups[n][0] + 1 for n in kept) * config.validation_fraction)
        for number in reversed(range(config.groups)):
            first, last = groups[number]
            if number in chosen:
                spans.append(BarSpan(part=Split.TEST, first=first, last=last))
                continue
            validated = min(left, last - first + 1)
            left -= validated
            if validated:
                begin = last - validated + 1
                spans.append(BarSpan(part=Split.VALIDATION, first=begin, last=last))
                last = begin - 1
            if last >= first:
                spans.append(BarSpan(part=Split.TRAIN, first=first, last=last))
        name = "combinatorial_" + "-".join(str(number) for number in chosen)
        folds.append(Fold(name, tuple(reversed(spans)), chosen))
    return folds


def paths_of(folds: list[Fold]) -> list[list[tuple[int, int]]]:
    """Ways through all groups in order of time, each made of (fold, group) pairs used once.

    Walking forward has one. Of combinatorial folds the n-th path takes, for each group, the n-th
    fold that leaves it out.
    """
    groups = sorted({group for fold in folds for group in fold.groups})
    testing = {
        group: [number for number, fold in enumerate(folds) if group in fold.groups]
        for group in groups
    }
    count = min(len(found) for found in testing.values())
    return [[(testing[group][n], group) for group in groups] for n in range(count)]
