"""The teacher of a portfolio desk: three analysts who each vote for a regime.

An analyst thinks in the twelve factor regimes. On another menu it votes for whatever looks most
like its choice on that day: as much invested, leaning to the same factors. So the same analysts
teach any list of hand-written allocations. What is said at session t depends on nothing later.
Shapes: T sessions, A regimes, P portfolios, F factors, S stocks.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_core.kinds.portfolio.allocations import portfolio_places
from rl_core.kinds.portfolio.settings import (
    FACTOR_PLACES,
    FACTOR_REGIMES,
    Allocation,
    AllocatorConfig,
)
from rl_core.kinds.portfolio.state import UNIVERSE_FEATURES
from rl_core.teacher.analysts import Signal
from rl_core.teacher.vote import Vote

Array = NDArray[np.float64]

_COLUMNS = {feature.name: place for place, feature in enumerate(UNIVERSE_FEATURES)}
HIGH_VOLATILITY = 2


# analyst -> reason -> the regime it votes for, and how strongly
VOTES: Mapping[str, Mapping[str, tuple[str, float]]] = {
    "trend": {
        "far above its mean and rising": ("MOMENTUM", 0.6),
        "above its mean": ("EQUAL_WEIGHT", 0.6),
        "near its mean": ("LIGHT_CASH", 0.9),
        "below its mean": ("DEFENSIVE", 0.8),
        "far below its mean and falling": ("FULL_CASH", 1.0),
    },
    "volatility": {
        "calm": ("MOMENTUM", 0.5),
        "normal": ("EQUAL_WEIGHT", 0.6),
        "high": ("LOW_VOL", 0.8),
        "high and rising": ("DEFENSIVE", 0.9),
    },
    "breadth": {
        "broad": ("SIZE_SMALL", 0.7),
        "mixed": ("EQUAL_WEIGHT", 0.6),
        "narrow": ("QUALITY", 0.8),
        "hardly any": ("SAFE_QUALITY", 1.0),
    },
}


@dataclass(frozen=True)
class UniverseView:
    """What the analysts know of each session, and what they may vote for."""

    features: NDArray[np.float32]  # (T, 50) of `features.state.UNIVERSE_FEATURES`
    regime: NDArray[np.int8]  # (T,) of volatility
    weights: Array  # (T, P, S) of the portfolios
    exposures: NDArray[np.float32]  # (T, F, S) of the stocks
    portfolios: Sequence[str]  # P names
    menu: Sequence[Allocation]

    def column(self, name: str) -> Array:
        """A feature, (T,); 0 in the warm-up, in which nobody trades."""
        return np.nan_to_num(self.features[:, _COLUMNS[name]].astype(np.float64))

    def looks(self, menu: Sequence[Allocation]) -> Array:
        """How each regime looks on each day, (T, A, 1 + F): invested, exposure to each factor."""
        exposure = np.einsum("tps,tfs->tpf", self.weights, self.exposures, optimize=True)
        look = np.concatenate([self.weights.sum(axis=2)[..., None], exposure], axis=2)
        invested = np.array([regime.invested for regime in menu])
        return look[:, portfolio_places(menu, self.portfolios)] * invested[None, :, None]

    def likeness(self) -> NDArray[np.int8]:
        """Place on the menu of what looks most like each factor regime, (T, 12)."""
        if tuple(self.menu) == FACTOR_REGIMES:  # two of them may look alike on a day
            return np.tile(np.arange(len(self.menu), dtype=np.int8), (len(self.weights), 1))
        own, wanted = self.looks(self.menu), self.looks(FACTOR_REGIMES)
        own[:, [not regime.is_order for regime in self.menu]] = np.inf  # to hold is no portfolio
        distance = [
            np.abs(own - wanted[:, [place]]).sum(axis=2) for place in range(wanted.shape[1])
        ]
        return np.stack([each.argmin(axis=1) for each in distance], axis=1).astype(np.int8)


def allocator_vote(view: UniverseView, config: AllocatorConfig) -> Vote:
    """Ask every analyst and count the votes.

    Every `review_sessions` the regime with the greatest weight of votes is ordered, in a tie the
    one that comes first on the menu; in between the answer is HOLD. Strength is the winner's share
    of all votes.

    Args:
        view: of the universe.
        config: weights and thresholds.
    """
    likeness = view.likeness()
    reasons = {
        "trend": _trend(view, config),
        "volatility": _volatility(view),
        "breadth": _breadth(view, config),
    }
    signals = {name: _ballot(name, reason, likeness) for name, reason in reasons.items()}
    weights = config.weights.model_dump()
    votes = np.zeros((len(likeness), len(view.menu)))
    for name, signal in signals.items():
        votes[np.arange(len(votes)), signal.action] += weights[name] * signal.strength
    is_due = np.arange(len(votes)) % config.review_sessions == 0
    action = np.where(is_due, votes.argmax(axis=1), 0).astype(np.int8)
    total = votes.sum(axis=1)
    share = np.divide(votes.max(axis=1), total, out=np.zeros(len(total)), where=total > 0)
    return Vote(action, np.where(action == 0, 0.0, share), signals, weights)


def _ballot(name: str, reason: NDArray[np.int8], likeness: NDArray[np.int8]) -> Signal:
    """The vote that a reason leads to, on this menu."""
    said = list(VOTES[name].values())
    places = np.array([FACTOR_PLACES[regime] for regime, _ in said])[reason]
    strength = np.array([conviction for _, conviction in said])[reason]
    action = likeness[np.arange(len(reason)), places]
    return Signal(action, strength, reason, tuple(VOTES[name]))


def _trend(view: UniverseView, config: AllocatorConfig) -> NDArray[np.int8]:
    trend, recent = view.column("index_trend_200"), view.column("index_return_60")
    is_near, is_far = np.abs(trend) < config.near, np.abs(trend) > config.far
    rising, falling = is_far & (trend > 0) & (recent > 0), is_far & (trend < 0) & (recent < 0)
    return np.select([rising, falling, is_near, trend > 0], [0, 4, 2, 1], 3).astype(np.int8)


def _volatility(view: UniverseView) -> NDArray[np.int8]:
    high, is_rising = view.regime == HIGH_VOLATILITY, view.column("volatility_ratio") > 1
    return np.select([high & is_rising, high, view.regime == 0], [3, 2, 0], 1).astype(np.int8)


def _breadth(view: UniverseView, config: AllocatorConfig) -> NDArray[np.int8]:
    share = view.column("above_mean_200")
    edges = [share > config.broad, share >= config.narrow, share >= config.narrow / 2]
    return np.select(edges, [0, 1, 2], 3).astype(np.int8)
