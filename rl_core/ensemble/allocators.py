"""The teacher of a portfolio desk: three analysts who each vote for a regime.

An analyst does not know the menu. It says how a portfolio should look - how much is invested, and
which factors it leans to - and votes for the regime that looks most like it on that day. So the
same analysts teach twelve factor regimes and any list of hand-written allocations. What is said at
session t depends on nothing later. Shapes: T sessions, A regimes, F factors.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from rl_core.ensemble.analysts import Signal
from rl_core.ensemble.vote import Vote
from rl_core.features.allocations import Regime
from rl_core.features.state import UNIVERSE_FEATURES

Array = NDArray[np.float64]

_COLUMNS = {feature.name: place for place, feature in enumerate(UNIVERSE_FEATURES)}
HIGH_VOLATILITY = 2


class AllocatorWeights(BaseModel):
    """Weight of each analyst's vote."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trend: float = Field(default=1.0, ge=0)
    volatility: float = Field(default=1.0, ge=0)
    breadth: float = Field(default=1.0, ge=0)


class AllocatorConfig(BaseModel):
    """The teacher of a portfolio desk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    weights: AllocatorWeights = AllocatorWeights()
    review_sessions: int = Field(
        default=5, ge=1, description="a regime is ordered anew after so many sessions; HOLD between"
    )
    strong_trend: float = Field(
        default=0.05, gt=0, description="|log of the index over its 200-session mean|"
    )
    broad: float = Field(default=0.7, gt=0.5, lt=1, description="share above the 50-session mean")
    narrow: float = Field(default=0.3, gt=0, lt=0.5, description="share above it, likewise")


# reason -> how a portfolio should look: invested, momentum, low_vol, quality, size
LOOKS: Mapping[str, Mapping[str, tuple[float, float, float, float, float]]] = {
    "trend": {
        "above its mean and rising": (1.0, 0.6, 0.0, 0.3, 0.0),
        "above its mean but weakening": (1.0, 0.2, 0.2, 0.6, 0.0),
        "near its mean": (0.75, 0.0, 0.0, 0.0, 0.0),
        "below its mean": (0.5, 0.0, 0.0, 0.0, 0.0),
        "far below its mean and falling": (0.0, 0.0, 0.0, 0.0, 0.0),
    },
    "volatility": {
        "calm": (1.0, 0.8, 0.0, 0.4, 0.0),
        "normal": (1.0, 0.0, 0.0, 0.0, 0.0),
        "high": (1.0, 0.0, 0.6, 0.2, 0.0),
        "high and rising": (0.5, 0.0, 0.0, 0.0, 0.0),
    },
    "breadth": {
        "broad": (1.0, 0.0, 0.0, 0.0, 0.6),
        "mixed": (1.0, 0.0, 0.0, 0.0, 0.0),
        "narrow": (0.7, 0.2, 0.2, 0.5, 0.0),
        "hardly any": (0.5, 0.0, 0.0, 0.0, 0.0),
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
    menu: Sequence[Regime]

    def column(self, name: str) -> Array:
        """A feature, (T,); 0 in the warm-up, in which nobody trades."""
        return np.nan_to_num(self.features[:, _COLUMNS[name]].astype(np.float64))

    def looks(self) -> Array:
        """How each regime looks on each day, (T, A, 1 + F): invested, exposure to each factor."""
        exposure = np.einsum("tps,tfs->tpf", self.weights, self.exposures, optimize=True)
        look = np.concatenate([self.weights.sum(axis=2)[..., None], exposure], axis=2)
        names = [regime.portfolio or self.portfolios[0] for regime in self.menu]
        invested = np.array([regime.invested for regime in self.menu])
        return look[:, [self.portfolios.index(name) for name in names]] * invested[None, :, None]


def allocator_vote(view: UniverseView, config: AllocatorConfig) -> Vote:
    """Ask every analyst and count the votes.

    The regime with the greatest weight of votes wins, in a tie the one that comes first on the
    menu. It is ordered when it changes and again after `review_sessions`; in between the answer is
    HOLD. Strength is the winner's share of all votes.

    Args:
        view: of the universe.
        config: weights and thresholds.
    """
    looks = view.looks()
    looks[:, [not regime.is_order for regime in view.menu]] = np.inf  # to hold is no portfolio
    opinions = {
        "trend": _trend(view, config),
        "volatility": _volatility(view),
        "breadth": _breadth(view, config),
    }
    signals = {name: _ballot(name, *opinion, looks) for name, opinion in opinions.items()}
    weights = config.weights.model_dump()
    votes = np.zeros(looks.shape[:2])
    for name, signal in signals.items():
        votes[np.arange(len(votes)), signal.action] += weights[name] * signal.strength
    chosen = votes.argmax(axis=1)
    action = np.where(_is_due(chosen, config.review_sessions), chosen, 0).astype(np.int8)
    total = votes.sum(axis=1)
    share = np.divide(votes.max(axis=1), total, out=np.zeros(len(total)), where=total > 0)
    return Vote(action, np.where(action == 0, 0.0, share), signals, weights)


def _ballot(name: str, reason: NDArray[np.int8], strength: Array, looks: Array) -> Signal:
    """A vote for the regime that looks most like what the analyst wants."""
    wanted = np.array(list(LOOKS[name].values()))[reason]
    distance = np.abs(looks - wanted[:, None]).sum(axis=2)
    return Signal(distance.argmin(axis=1).astype(np.int8), strength, reason, tuple(LOOKS[name]))


def _is_due(chosen: NDArray[np.int64], review_sessions: int) -> NDArray[np.bool_]:
    """Where a regime is new, and every so many sessions while it stays."""
    row = np.arange(len(chosen))
    is_new = np.concatenate([[True], chosen[1:] != chosen[:-1]])
    since = row - np.maximum.accumulate(np.where(is_new, row, 0))
    return since % review_sessions == 0


def _trend(view: UniverseView, config: AllocatorConfig) -> tuple[NDArray[np.int8], Array]:
    trend, recent = view.column("index_trend_200"), view.column("index_return_20")
    near = np.abs(trend) < config.strong_trend / 5
    reason = np.select(
        [
            near,
            (trend > 0) & (recent > 0),
            trend > 0,
            (trend < -config.strong_trend) & (recent < 0),
        ],
        [2, 0, 1, 4],
        default=3,
    )
    return reason.astype(np.int8), np.clip(np.abs(trend) / config.strong_trend, 0.2, 1.0)


def _volatility(view: UniverseView) -> tuple[NDArray[np.int8], Array]:
    ratio = view.column("volatility_ratio")
    high = view.regime == HIGH_VOLATILITY
    reason = np.select([high & (ratio > 1), high, view.regime == 0], [3, 2, 0], default=1)
    return reason.astype(np.int8), np.clip(np.abs(ratio - 1), 0.2, 1.0)


def _breadth(view: UniverseView, config: AllocatorConfig) -> tuple[NDArray[np.int8], Array]:
    share = view.column("above_mean_50")
    reason = np.select(
        [share > config.broad, share >= config.narrow, share >= config.narrow / 2], [0, 1, 2], 3
    )
    return reason.astype(np.int8), np.clip(2 * np.abs(share - 0.5), 0.2, 1.0)
