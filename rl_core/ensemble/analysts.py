"""Analysts: each reads what is known at a bar's close and says action, strength and why.

Written over whole columns; a signal at bar t depends on nothing later. Shapes: B bars.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rl_core.features.indicators import Indicators
from rl_core.trading.accounts import BUY, HOLD, SELL

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Signal:
    """One analyst's opinion of every bar."""

    action: NDArray[np.int8]  # (B,) HOLD, BUY or SELL
    strength: Array  # (B,) in [0, 1]
    reason: NDArray[np.int8]  # (B,) index into `reasons`
    reasons: tuple[str, ...]

    def take(self, bars: slice) -> "Signal":
        """The opinions of some of the bars."""
        return Signal(self.action[bars], self.strength[bars], self.reason[bars], self.reasons)


class TechnicalConfig(BaseModel):
    """A trend follower that does not chase an exhausted move."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    entry_momentum: float = Field(
        default=1.0, gt=0, description="in standard deviations of 20 bars"
    )
    full_momentum: float = Field(default=2.0, gt=0, description="momentum of strength 1")
    overbought_rsi: float = Field(default=0.80, gt=0.5, lt=1)
    oversold_rsi: float = Field(default=0.20, gt=0, lt=0.5)

    @model_validator(mode="after")
    def _strength_grows_from_the_entry(self) -> Self:
        if self.full_momentum < self.entry_momentum:
            raise ValueError(
                "full_momentum must be at least entry_momentum, "
                f"was {self.full_momentum} and {self.entry_momentum}"
            )
        return self


class NewsConfig(BaseModel):
    """Follows news and macro sentiment, if a source is configured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float = Field(default=0.2, gt=0, lt=1, description="|sentiment| from which it acts")


class RiskConfig(BaseModel):
    """Leaves the market when it is too wild or when its data cannot be trusted."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    minimum_health: float = Field(default=0.8, ge=0, le=1)
    crash_momentum: float = Field(
        default=0.5, gt=0, description="falling faster in high volatility"
    )


def technical_signal(indicators: Indicators, config: TechnicalConfig) -> Signal:
    """BUY an established rise, SELL an established fall, HOLD in between."""
    momentum = indicators.momentum
    size = np.clip(np.abs(np.nan_to_num(momentum)) / config.full_momentum, 0, 1)
    rising = (momentum >= config.entry_momentum) & (indicators.macd_signal > 0)
    falling = (momentum <= -config.entry_momentum) & (indicators.macd_signal < 0)
    exhausted = np.where(
        momentum > 0, indicators.rsi > config.overbought_rsi, indicators.rsi < config.oversold_rsi
    )
    reason = np.select([exhausted & (rising | falling), rising, falling], [3, 1, 2], 0).astype(
        np.int8
    )
    action = np.select([reason == 1, reason == 2], [BUY, SELL], HOLD).astype(np.int8)
    reasons = ("no trend", "rising, MACD agrees", "falling, MACD agrees", "move is exhausted")
    return Signal(action, np.where(action == HOLD, 0.0, size), reason, reasons)


def news_signal(sentiment: Array, config: NewsConfig) -> Signal:
    """Follow the mean of news and macro sentiment, (B, 2); abstain where both are 0."""
    mean = sentiment.mean(axis=1)
    silent = (sentiment == 0).all(axis=1)
    reason = np.select(
        [silent, mean >= config.threshold, mean <= -config.threshold], [0, 2, 3], 1
    ).astype(np.int8)
    action = np.select([reason == 2, reason == 3], [BUY, SELL], HOLD).astype(np.int8)
    reasons = ("no news", "news is mixed", "news is good", "news is bad")
    return Signal(action, np.where(action == HOLD, 0.0, np.abs(mean)), reason, reasons)


def risk_signal(
    indicators: Indicators, regime: NDArray[np.int8], data_health: Array, config: RiskConfig
) -> Signal:
    """SELL when data is unsound or a fall meets high volatility, else HOLD.

    It means to leave the market: a vote in which it wins goes flat and never short.
    """
    unsound = data_health < config.minimum_health
    crash = (regime == 2) & (indicators.momentum <= -config.crash_momentum)
    reason = np.select([unsound, crash], [1, 2], 0).astype(np.int8)
    action = np.where(reason > 0, SELL, HOLD).astype(np.int8)
    reasons = ("risk is normal", "data is unsound", "falling in high volatility")
    return Signal(action, np.where(action == HOLD, 0.0, 1.0), reason, reasons)
