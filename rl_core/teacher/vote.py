"""The weighted vote of the analysts. Shapes: B bars."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_core.features.indicators import Indicators
from rl_core.teacher.analysts import SessionView, Signal, news_signal, risk_signal, technical_signal
from rl_core.teacher.settings import (
    EnsembleConfig,
)
from rl_core.trading.accounts import BUY, HOLD, SELL

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Vote:
    """What the ensemble decided at every bar, and who said what."""

    action: NDArray[np.int8]  # (B,)
    strength: Array  # (B,) in [0, 1]
    signals: dict[str, Signal]
    weights: dict[str, float]

    def take(self, bars: slice) -> "Vote":
        """The decisions at some of the bars."""
        signals = {name: signal.take(bars) for name, signal in self.signals.items()}
        return Vote(self.action[bars], self.strength[bars], signals, self.weights)


def ensemble_vote(
    indicators: Indicators,
    regime: NDArray[np.int8],
    data_health: Array,
    sentiment: Array,
    config: EnsembleConfig,
    session: SessionView | None = None,
) -> Vote:
    """Ask every analyst and count the votes.

    The score is the weighted sum of signed strengths over the weight of those who did not HOLD,
    so an analyst without an opinion neither helps nor dilutes. A SELL that the risk analyst backs
    has strength 0, which is the order to go flat.
    """
    signals = {
        "technical": technical_signal(indicators, config.technical, session),
        "news": news_signal(sentiment, config.news),
        "risk": risk_signal(indicators, regime, data_health, config.risk, session),
    }
    weights = config.weights.model_dump()
    ballots = np.zeros(len(regime))
    voting_weight = np.zeros(len(regime))
    for name, signal in signals.items():
        direction = (signal.action == BUY).astype(float) - (signal.action == SELL)
        ballots += weights[name] * direction * signal.strength
        voting_weight += weights[name] * (signal.action != HOLD)
    score = np.divide(ballots, voting_weight, out=np.zeros_like(ballots), where=voting_weight > 0)
    action = np.where(np.abs(score) < config.vote_threshold, HOLD, np.where(score > 0, BUY, SELL))
    action = np.where(score == 0, HOLD, action).astype(np.int8)
    leaves = (action == SELL) & (signals["risk"].action == SELL) & (weights["risk"] > 0)
    strength = np.where((action == HOLD) | leaves, 0.0, np.abs(score))
    return Vote(action, strength, signals, weights)
