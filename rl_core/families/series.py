"""What desks that trade one instrument share: its bars, and BUY and SELL with a strength."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rl_core.backtest.preparation import PreparedMarket, prepare_market
from rl_core.desk import SeriesDesk
from rl_core.families.core import Source, threshold_rule
from rl_core.features.regimes import RegimeThresholds
from rl_core.market.bars import nanoseconds
from rl_core.market.quality import assess_quality
from rl_core.market.readers import checked_bars, read_raw_bars
from rl_core.market.rolls import CONTRACT
from rl_core.offline.validation import series_prices
from rl_core.trading.accounts import ACTIONS


@dataclass(frozen=True)
class SeriesFamily:
    """The first half of a `Family`."""

    desk: SeriesDesk

    @property
    def actions(self) -> tuple[str, ...]:
        """HOLD, BUY and SELL."""
        return ACTIONS

    @property
    def price_name(self) -> str:
        """Of the instrument."""
        return "close"

    @property
    def has_strength(self) -> bool:
        """How much of the account an order moves."""
        return True

    def crowd(self, stocks: int) -> dict[str, int]:
        """There is one instrument only."""
        return {}

    def read_source(self, root: Path) -> Source:
        """A table of bars."""
        bars = self.desk.bars
        raw = read_raw_bars(bars, root)
        report = assess_quality(
            raw.frame,
            bars.interval_ns,
            self.desk.quality,
            row_numbers=raw.row_numbers,
            was_newest_first=raw.was_newest_first,
            sessions=bars.sessions,
        )
        return Source(report, lambda: checked_bars(raw, bars))

    def prepare(
        self,
        bars: pd.DataFrame,
        sentiment: pd.DataFrame | None,
        thresholds: RegimeThresholds | None,
    ) -> PreparedMarket:
        """All that is known per bar."""
        known = threshold_rule(self.desk, nanoseconds(bars["timestamp"]), thresholds)
        return prepare_market(bars, sentiment, self.desk.preparation, known)

    def prices_sql(self, bars: pd.DataFrame) -> str:
        """The closes themselves."""
        return series_prices(has_contracts=CONTRACT in bars)
