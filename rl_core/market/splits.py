"""Train, validation and test spans with a purge between them. Shapes: B bars."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.base.units import length_ns
from rl_core.market.settings import BarSpan, Split, SplitConfig


def split_bars(ns: NDArray[np.int64], config: SplitConfig) -> NDArray[np.int8]:
    """Split of each bar, (B,).

    Purge and embargo at each boundary. Rows are dropped from the part of earlier priority (train <
    validation < test): before a boundary those whose label window, as long as the purge, crosses
    it; after a boundary those that labels of the part before overlap. Test rows are never dropped.

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
