"""How a PPO training went, criterion by criterion: what `tollgate ppo` ends with."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from rl_core.base.checks import Check, CheckSpec
from rl_core.learning.ppo.history import MIN_ENTROPY, PPOIteration

MIN_TREND_T = 2.0  # below it chance alone makes such a slope
TRAINING_CHECKS = (
    CheckSpec("entropy_stayed_up", False, "A policy that stopped to explore: raise --ent-coef."),
    CheckSpec("mean_return_trends_up", False, "Rewards that do not rise: more --timesteps."),
    CheckSpec("accounts_traded", False, "Accounts that never closed a trade."),
    CheckSpec("metrics_are_complete", False, "Summaries that are missing from metrics.json."),
)
_SPECS = {spec.name: spec for spec in TRAINING_CHECKS}


def training_verdict(
    history: Sequence[PPOIteration],
    summaries: Sequence[Mapping[str, Any]],
    iterations: int,
    summary_every: int,
    *,
    is_heads_only: bool = False,
) -> list[Check]:
    """Entropy, trend of the mean return, trades, and whether the metrics are whole.

    Args:
        history: of every iteration, warm-up included.
        summaries: what `metrics.json` holds.
        iterations: that the policy was to learn from.
        summary_every: iterations between two summaries.
        is_heads_only: the policy did not learn, so nothing is asked of it.
    """
    learned = [each for each in history if each.iteration > 0]
    still = "the policy did not learn: return heads alone"
    of_policy = (
        [_check(name, True, still) for name in ("entropy_stayed_up", "mean_return_trends_up")]
        if is_heads_only
        else [entropy_check(learned), trend_check(learned)]
    )
    return [
        *of_policy,
        trades_check(summaries),
        metrics_check(summaries, iterations, summary_every),
    ]


def _check(name: str, passed: bool, detail: str, **figures: float | int | None) -> Check:
    return _SPECS[name].verdict(passed, detail, **figures)


def entropy_check(learned: Sequence[PPOIteration]) -> Check:
    """The policy never stopped to explore."""
    known = [each.entropy for each in learned if each.entropy is not None]
    lowest = min(known) if known else None
    passed = lowest is not None and lowest > MIN_ENTROPY
    said = "unknown" if lowest is None else f"{lowest:.3f} nats"
    return _check(
        "entropy_stayed_up", passed, f"lowest entropy {said}, above {MIN_ENTROPY}", lowest=lowest
    )


def trend_check(learned: Sequence[PPOIteration]) -> Check:
    """The mean reward rises, fading terms left out: a line through the iterations."""
    rewards = [each.lasting_reward for each in learned if each.lasting_reward is not None]
    if len(rewards) < 3:
        detail = f"needs at least 3 iterations, was {len(rewards)}"
        return _check("mean_return_trends_up", False, detail, slope=None)
    slope, t = slope_of(np.array(rewards))
    meaning = (
        "more than chance" if t >= MIN_TREND_T
        else "it fell" if t <= -MIN_TREND_T
        else "chance could do that: more timesteps would tell"
    )  # fmt: skip
    detail = (
        f"reward per step {rewards[0]:+.5f} in the first iteration, {rewards[-1]:+.5f} in the "
        f"last, slope {slope:+.2e}, t = {t:.1f}, at least {MIN_TREND_T:g}: {meaning}"
    )
    return _check("mean_return_trends_up", t >= MIN_TREND_T, detail, slope=slope, t=t)


def slope_of(values: np.ndarray) -> tuple[float, float]:
    """Least-squares slope over equal steps, and its t statistic; 0 where nothing varies."""
    x = np.arange(len(values)) - (len(values) - 1) / 2
    slope = float((x * values).sum() / (x**2).sum())
    residual = values - values.mean() - slope * x
    error = math.sqrt(float((residual**2).sum()) / max(len(values) - 2, 1) / float((x**2).sum()))
    return slope, slope / error if error > 0 else 0.0


def trades_check(summaries: Sequence[Mapping[str, Any]]) -> Check:
    """Whether the exploring accounts traded at all."""
    trades = sum(int(each["trades"]["trades"]) for each in summaries)
    return _check("accounts_traded", trades > 0, f"{trades:,} trades closed", trades=trades)


def metrics_check(
    summaries: Sequence[Mapping[str, Any]], iterations: int, summary_every: int
) -> Check:
    """Every summary that was due is there, and none of its figures is missing."""
    due = [n for n in range(1, iterations + 1) if n % summary_every == 0 or n == iterations]
    found = [int(each["iteration"]) for each in summaries]
    unknown = [
        f"{name} at iteration {each['iteration']}"
        for each in summaries
        if each["trades"]["trades"]
        for name in ("pnl", "pnl_per_trade", "win_rate", "max_trailing_drawdown")
        if each["trades"][name] is None
    ]
    missing = sorted(set(due) - set(found))
    detail = f"metrics.json has {len(found)} of {len(due)} summaries"
    if unknown:
        detail += f", without {', '.join(unknown[:3])}"
    return _check("metrics_are_complete", not missing and not unknown, detail, summaries=len(found))
