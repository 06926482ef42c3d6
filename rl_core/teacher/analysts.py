"""Analysts: each reads what is known at a bar's close and says action, strength and why.

Written over whole columns; a signal at bar t depends on nothing later. Shapes: B bars.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_core.features.indicators import Indicators
from rl_core.market.sessions import SessionClock
from rl_core.teacher.settings import NewsConfig, RiskConfig, SessionRules, TechnicalConfig
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


@dataclass(frozen=True)
class SessionView:
    """What an analyst knows of the session."""

    clock: SessionClock
    vwap_distance: Array  # (B,) close minus VWAP, in ATR
    rules: SessionRules

    @property
    def is_leaving(self) -> NDArray[np.bool_]:
        """So close to the end that every position is given up, (B,)."""
        return self.clock.minutes_to_close < self.rules.leave_minutes

    def forbids(self, momentum: Array) -> NDArray[np.bool_]:
        """Bars at which nothing is entered in the direction of the momentum, (B,)."""
        clock, rules = self.clock, self.rules
        closed = (clock.minutes_since_open <= rules.skip_open_minutes) | (
            clock.minutes_to_close < rules.last_entry_minutes
        )
        if rules.regular_hours_only:
            closed |= ~clock.is_regular
        if rules.follow_vwap:
            closed |= np.sign(momentum) * self.vwap_distance <= 0
        return closed


def technical_signal(
    indicators: Indicators, config: TechnicalConfig, session: SessionView | None = None
) -> Signal:
    """BUY an established rise, SELL an established fall, HOLD in between or out of hours."""
    momentum = indicators.momentum
    size = np.clip(np.abs(np.nan_to_num(momentum)) / config.full_momentum, 0, 1)
    rising = (momentum >= config.entry_momentum) & (indicators.macd_signal > 0)
    falling = (momentum <= -config.entry_momentum) & (indicators.macd_signal < 0)
    exhausted = np.where(
        momentum > 0, indicators.rsi > config.overbought_rsi, indicators.rsi < config.oversold_rsi
    )
    moves = rising | falling
    forbidden = moves & (session.forbids(momentum) if session else False)
    reason = np.select([forbidden, exhausted & moves, rising, falling], [4, 3, 1, 2], 0).astype(
        np.int8
    )
    action = np.select([reason == 1, reason == 2], [BUY, SELL], HOLD).astype(np.int8)
    reasons = (
        "no trend", "rising, MACD agrees", "falling, MACD agrees", "move is exhausted",
        "not the hour, or against the VWAP",
    )  # fmt: skip
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
    indicators: Indicators,
    regime: NDArray[np.int8],
    data_health: Array,
    config: RiskConfig,
    session: SessionView | None = None,
) -> Signal:
    """SELL when data is unsound, a fall meets high volatility or the session ends, else HOLD.

    It means to leave the market: a vote in which it wins goes flat and never short.
    """
    unsound = data_health < config.minimum_health
    crash = (regime == 2) & (indicators.momentum <= -config.crash_momentum)
    ends = session.is_leaving if session else np.zeros(len(regime), dtype=bool)
    reason = np.select([unsound, crash, ends], [1, 2, 3], 0).astype(np.int8)
    action = np.where(reason > 0, SELL, HOLD).astype(np.int8)
    reasons = (
        "risk is normal", "data is unsound", "falling in high volatility", "the session ends",
    )  # fmt: skip
    return Signal(action, np.where(action == HOLD, 0.0, 1.0), reason, reasons)
