"""One number for how a training stands, for people to glance at. The gate never reads it."""

import math

from pydantic import BaseModel, ConfigDict

WEIGHTS = {"profitability": 40, "reward": 20, "value": 20, "exploration": 10, "instability": -10}
GOOD, BAD = 20.0, 0.0
HIGH_KL = (0.02, 0.10)  # nats: no penalty, full penalty
HIGH_CLIP = (0.20, 0.50)  # share of samples: likewise


class CompositeScore(BaseModel):
    """The score and its parts, each before it is weighed."""

    model_config = ConfigDict(frozen=True)

    score: float  # -70 to 90
    profitability: float  # -1..1: return of a trade in percent x win rate
    reward: float  # -1..1: mean reward of a step in its sd
    value: float  # -1..1: explained variance
    exploration: float  # 0..1: entropy / the largest possible
    instability: float  # 0..1: KL and clipping beyond what is healthy

    @property
    def colour(self) -> str:
        """Colour of the score in a terminal."""
        return "green" if self.score > GOOD else "red" if self.score < BAD else "yellow"


def composite_score(
    *,
    average_return: float | None,
    win_rate: float | None,
    reward_mean: float | None,
    reward_sd: float | None,
    explained_variance: float | None,
    entropy: float | None,
    num_actions: int,
    approx_kl: float | None,
    clip_fraction: float | None,
) -> CompositeScore:
    """40% average return x win rate, 20% reward, 20% explained variance, 10% entropy, -10% unrest.

    What is unknown counts nothing.

    Args:
        average_return: of a trade, fraction of the initial cash.
        win_rate: of trades, 0..1.
        reward_mean: of a step.
        reward_sd: of a step.
        explained_variance: of the critic.
        entropy: of the category, nats.
        num_actions: categories.
        approx_kl: of the last update, nats.
        clip_fraction: of the last update.
    """
    unrest = max(_between(approx_kl or 0.0, *HIGH_KL), _between(clip_fraction or 0.0, *HIGH_CLIP))
    parts = {
        "profitability": _clipped(100 * (average_return or 0.0) * (win_rate or 0.0)),
        "reward": _clipped((reward_mean or 0.0) / reward_sd) if reward_sd else 0.0,
        "value": _clipped(explained_variance or 0.0),
        "exploration": _clipped((entropy or 0.0) / math.log(num_actions)),
        "instability": unrest,
    }
    return CompositeScore(score=sum(WEIGHTS[name] * part for name, part in parts.items()), **parts)


def _clipped(value: float) -> float:
    return min(max(value, -1.0), 1.0)


def _between(value: float, low: float, high: float) -> float:
    return min(max((value - low) / (high - low), 0.0), 1.0)
