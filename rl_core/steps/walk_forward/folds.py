"""Folds of a walk forward: where each trains, validates and is tested. Shapes: B bars.

A fold sees no bar after its test span. Expanding and rolling folds stand at fixed times from the
first bar, so that bars which come later add folds and change none. Combinatorial folds divide the
whole range and leave every choice of groups out once.
"""

from dataclasses import dataclass
from itertools import combinations, pairwise

import numpy as np
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.base.units import length_ns
from rl_core.judging.settings import WalkForwardConfig
from rl_core.market.settings import BarSpan, Split


@dataclass(frozen=True)
class Fold:
    """One training and the spans that it is tested on."""

    name: str
    spans: tuple[BarSpan, ...]  # in order of time; what is in none is not used
    groups: tuple[int, ...]  # of its test spans, in order of time

    @property
    def test(self) -> list[BarSpan]:
        """The bars that the fold is tested on."""
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
