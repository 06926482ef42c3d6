"""What desks that trade one instrument share: its bars, and BUY and SELL with a strength."""

from dataclasses import dataclass

import pandas as pd
from typing_extensions import override

from rl_core.features.prepare import PreparationConfig, PreparedMarket, prepare_market
from rl_core.features.regimes import RegimeThresholds
from rl_core.kinds.base import DeskKind, threshold_rule
from rl_core.kinds.settings import SeriesDesk
from rl_core.market.bars import nanoseconds
from rl_core.market.rolls import CONTRACT
from rl_core.offline.prices import series_prices
from rl_core.trading.accounts import ACTIONS


@dataclass(frozen=True)
class SeriesKind(DeskKind):
    """The first half of a `DeskKind`."""

    desk: SeriesDesk

    @property
    @override
    def actions(self) -> tuple[str, ...]:
        return ACTIONS

    @property
    @override
    def price_name(self) -> str:
        return "close"

    @property
    @override
    def has_strength(self) -> bool:
        """How much of the account an order moves."""
        return True

    @override
    def memory_dimensions(self, stocks: int) -> dict[str, int]:
        return {}

    @property
    @override
    def mean_bar_ns(self) -> int:
        return self.desk.bars.interval_ns

    @property
    def knows_the_session(self) -> bool:
        """True if a state says where in its session a bar stands."""
        return False

    @property
    def preparation(self) -> PreparationConfig:
        """The parts of the desk that shape a prepared market."""
        return PreparationConfig(
            interval_ns=self.desk.bars.interval_ns,
            quality=self.desk.quality,
            max_sentiment_age_hours=self.desk.sentiment.max_age_hours,
            impact_coefficient=self.desk.impact_coefficient,
            sessions=self.desk.bars.sessions,
            knows_the_session=self.knows_the_session,
        )

    @override
    def prepare(
        self,
        bars: pd.DataFrame,
        sentiment: pd.DataFrame | None,
        thresholds: RegimeThresholds | None,
    ) -> PreparedMarket:
        known = threshold_rule(self.desk, nanoseconds(bars["timestamp"]), thresholds)
        return prepare_market(bars, sentiment, self.preparation, known)

    @override
    def prices_sql(self, bars: pd.DataFrame) -> str:
        return series_prices(has_contracts=CONTRACT in bars)
