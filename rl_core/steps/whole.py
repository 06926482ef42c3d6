"""The chain as one call, for whoever runs many of them: folds, trials, tests."""

from collections.abc import Callable

import torch

from rl_core.steps.backtest_history import build_backtest_history
from rl_core.steps.bars import build_bars
from rl_core.steps.bc_policy import build_bc_policy
from rl_core.steps.context import Workplace
from rl_core.steps.offline_dataset import build_offline_dataset
from rl_core.steps.ppo_policy.checkpoints import TrainingOptions
from rl_core.steps.ppo_policy.step import build_ppo_policy
from rl_core.steps.prediction_validation.step import build_prediction_validation
from rl_core.steps.regime_dataset import build_regime_dataset
from rl_core.steps.soundness import require_sound


def judge_from_bars(work: Workplace, device: torch.device, say: Callable[[str], None]) -> Workplace:
    """Build every link from the source to the gate's report.

    Raises:
        TollgateError: a check failed that stops the chain in Dagster too.
    """
    for link, build in (
        ("bars", build_bars),
        ("backtest_history", build_backtest_history),
        ("offline_dataset", build_offline_dataset),
        ("regime_dataset", build_regime_dataset),
    ):
        build(work)
        require_sound(work, [link])
    build_bc_policy(work, device, say)
    build_ppo_policy(work, TrainingOptions(device), say)
    build_prediction_validation(work)
    return work
