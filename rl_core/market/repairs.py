"""Defects that a desk wants left out: the bars that have them go, and it is told which.

Nothing is invented in their place, so a repair leaves holes, which health and checks count. The
source itself is never touched. Shapes: B bars.
"""

from dataclasses import replace

import numpy as np

from rl_core.base.errors import TollgateError
from rl_core.market.bars import describe_rows, impossible
from rl_core.market.quality import ROW_CHECKS
from rl_core.market.readers import RawBars, assess_source
from rl_core.market.settings import BarsConfig, QualityConfig

LISTS = {**ROW_CHECKS, "prices_move": ("stale_rows", "that repeat the prices before them")}
CONTRACT = "with a price, volume or spread that cannot be"


def without_impossible(raw: RawBars, limits: QualityConfig) -> RawBars:
    """The bars without those that break the contract, if the desk wants them left out.

    Raises:
        TollgateError: nothing would be left.
    """
    if "contract" not in limits.repair:
        return raw
    return _without(raw, raw.row_numbers[impossible(raw.frame)].tolist(), CONTRACT)


def without_oddities(raw: RawBars, config: BarsConfig, limits: QualityConfig) -> RawBars:
    """The bars without those that fail a check which the desk wants left out.

    They are looked for once: what shows only when others have gone is judged as any other.

    Raises:
        TollgateError: nothing would be left.
    """
    if named := [name for name in limits.repair if name in LISTS]:
        report = assess_source(raw, config, limits)
        for field, meaning in (LISTS[name] for name in named):
            raw = _without(raw, getattr(report, field), meaning)
    return raw


def _without(raw: RawBars, rows: list[int], meaning: str) -> RawBars:
    is_bad = np.isin(raw.row_numbers, rows)
    if is_bad.all():
        raise TollgateError(f"quality.repair must leave bars over, was to leave out all: {meaning}")
    if not is_bad.any():
        return raw
    bad = raw.row_numbers[is_bad]
    note = f"quality.repair left out {len(bad):,} bars {meaning} ({describe_rows(bad)})"
    return replace(raw.take(np.flatnonzero(~is_bad)), notes=[*raw.notes, note])
