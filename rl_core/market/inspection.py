"""What a file of bars is, found out by reading it: the settings of `bars` that read it.

A guess is made only where another reading is left out by the file itself, and every guess is told.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rl_core.base.errors import TollgateError, validated
from rl_core.base.units import length_text
from rl_core.market.bars import nanoseconds
from rl_core.market.quality import QualityReport
from rl_core.market.readers import RawBars, assess_source, read_raw_bars
from rl_core.market.sessions import session_days
from rl_core.market.settings import BarsConfig, QualityConfig
from rl_core.market.sources.advice import AdvisedError

MOST_ADVICE = 6  # settings that are tried one after the other
STOCKS, FX = "XNYS", "24/5"
FEW = 0.02  # share of days by which a calendar may be missed


@dataclass(frozen=True)
class Inspection:
    """A file of bars, as far as it can be understood without being told."""

    settings: dict[str, Any]  # of `bars`, that read it
    reasons: dict[str, str]  # setting -> why
    raw: RawBars
    report: QualityReport  # by the default limits

    @property
    def config(self) -> BarsConfig:
        """The same settings as the readers take them, defaults included."""
        return BarsConfig.model_validate(self.settings)


def inspect_file(path: Path, given: Mapping[str, Any] | None = None) -> Inspection:
    """Read a file of bars by what it shows.

    Args:
        path: the file, a folder or a pattern.
        given: settings of `bars` that are known, and not guessed.

    Raises:
        TollgateError: it cannot be read; says why.
    """
    fixed = dict(given or {})
    settings: dict[str, Any] = {"path": str(path), "symbol": symbol_of(path), **fixed}
    reasons = {} if "symbol" in fixed else {"symbol": "by the file's name"}
    raw = _read_by_advice(settings, reasons, fixed)
    if "interval" not in settings:
        ns = np.unique(nanoseconds(raw.frame["timestamp"]))
        steps = np.diff(ns)
        if not len(steps):
            raise TollgateError(f"a file of bars must have two times at least, was one in {path}")
        settings["interval"] = length_text(int(np.median(steps)))
        reasons["interval"] = "most bars are that far apart"
        raw = _read_by_advice(settings, reasons, fixed)
    if "sessions" not in settings and (calendar := calendar_of(raw.frame, settings["interval"])):
        settings["sessions"] = {"calendar": calendar}
        reasons["sessions"] = f"its bars keep the calendar {calendar} of exchange-calendars"
    config = validated(BarsConfig, settings, str(path))
    report = assess_source(raw, config, QualityConfig())
    if not report.has_volume and "volume" not in settings:
        settings["volume"] = "none"
        reasons["volume"] = "the market reports none: no impact, no veto for want of it"
    return Inspection(settings, reasons, raw, report)


def symbol_of(path: Path) -> str:
    """The symbol that a file's name begins with, as exporters name files: BTC-USD_1h.csv."""
    stem = path.name.split(".")[0] if path.suffix else path.name
    found = re.match(r"[A-Za-z0-9^][A-Za-z0-9^=-]*", stem)
    return found.group().upper() if found else "XYZ"


def calendar_of(bars: pd.DataFrame, interval: str) -> str | None:
    """The calendar that bars keep: of stocks, of FX, or None for a market that is always open."""
    days = pd.DatetimeIndex(bars["timestamp"]).normalize().unique()
    if len(days) < 20 or (days.day_of_week >= 5).mean() > FEW:
        return None
    if interval.endswith("d"):
        ns = days.as_unit("ns").asi8
        sessions = session_days(STOCKS, int(ns.min()), int(ns.max()))
        both = len(np.intersect1d(ns, sessions))
        if both >= (1 - FEW) * max(len(ns), len(sessions)):
            return STOCKS
    hours = pd.DatetimeIndex(bars["timestamp"]).hour.unique()
    return FX if interval.endswith("d") or len(hours) == 24 else None


def _read_by_advice(
    settings: dict[str, Any], reasons: dict[str, str], fixed: Collection[str]
) -> RawBars:
    """Read, following the advice of each error once; what is fixed stays as it was given."""
    tried: set[str] = set()
    for _ in range(MOST_ADVICE):
        config = validated(BarsConfig, settings, str(settings["path"]))
        try:
            return read_raw_bars(config, Path())
        except AdvisedError as error:
            if any(name in fixed or name in tried for name in error.settings):
                raise
            tried.update(error.settings)
            settings.update(error.settings)
            reasons.update(dict.fromkeys(error.settings, "as the file shows"))
    raise TollgateError(f"{settings['path']} must be readable with few settings, was not")
