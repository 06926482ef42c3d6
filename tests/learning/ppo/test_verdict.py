"""The verdict on a training: each criterion passes what is sound and refuses its own fault."""

from typing import Any

import numpy as np
import pytest

from rl_core.learning.ppo.history import PPOIteration
from rl_core.learning.ppo.verdict import slope_of, training_verdict

BLANK: dict[str, Any] = {
    name: {} if "dict" in str(field.annotation) else None if "None" in str(field.annotation) else 0
    for name, field in PPOIteration.model_fields.items()
}
TRADES: dict[str, Any] = {
    "trades": 12, "pnl": -3.0, "pnl_per_trade": -0.25, "win_rate": 0.4,
    "max_trailing_drawdown": 0.1,
}  # fmt: skip


def history(rewards: list[float], entropy: float = 0.5) -> list[PPOIteration]:
    """A warm-up, then an iteration a reward."""
    figures = [{"iteration": 0, "lasting_reward": 99.0, "entropy": None}] + [
        {"iteration": number, "lasting_reward": reward, "entropy": entropy}
        for number, reward in enumerate(rewards, start=1)
    ]
    return [PPOIteration.model_validate({**BLANK, **each}) for each in figures]


def summaries(*iterations: int, **changes: object) -> list[dict[str, Any]]:
    return [{"iteration": n, "trades": {**TRADES, **changes}} for n in iterations]


RISING = [0.0, 0.11, 0.19, 0.3, 0.41]
SOUND = (history(RISING), summaries(2, 4, 5), 5, 2)


def failed(*arguments: Any, **options: bool) -> set[str]:
    return {check.name for check in training_verdict(*arguments, **options) if not check.passed}


def test_a_sound_training_passes() -> None:
    assert failed(*SOUND) == set()


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ((history(RISING, entropy=0.04), *SOUND[1:]), "entropy_stayed_up"),
        ((history(RISING[::-1]), *SOUND[1:]), "mean_return_trends_up"),
        ((history([0.0, 0.3, -0.3, 0.3, 0.01]), *SOUND[1:]), "mean_return_trends_up"),  # chance
        ((history(RISING[:2]), *SOUND[1:]), "mean_return_trends_up"),
        ((SOUND[0], summaries(2, 4, 5, trades=0), 5, 2), "accounts_traded"),
        ((SOUND[0], summaries(2, 4), 5, 2), "metrics_are_complete"),
        ((SOUND[0], summaries(2, 4, 5, pnl=None), 5, 2), "metrics_are_complete"),
    ],
)
def test_each_fault_is_found_by_its_criterion(arguments: tuple[Any, ...], name: str) -> None:
    assert failed(*arguments) == {name}


def test_return_heads_alone_are_not_asked_for_a_trend() -> None:
    still = history([0.1] * 5)
    frozen = [each.model_copy(update={"entropy": None}) for each in still]
    assert failed(frozen, *SOUND[1:], is_heads_only=True) == set()


def test_the_slope_and_its_t_by_hand() -> None:
    # 0, 1, 5: slope 2.5, residuals 0.5, -1, 0.5, standard error sqrt(1.5 / 1 / 2)
    slope, t = slope_of(np.array([0.0, 1.0, 5.0]))
    assert slope == pytest.approx(2.5)
    assert t == pytest.approx(2.5 / np.sqrt(0.75))


def test_one_in_forty_trainings_that_learn_nothing_seems_to_rise() -> None:
    rng = np.random.default_rng(0)
    rises = [slope_of(rng.standard_normal(40))[1] >= 2 for _ in range(2000)]
    assert 0.01 < np.mean(rises) < 0.045
