"""The chain as one call, for whoever runs many of them: folds, trials, tests."""

from collections.abc import Callable

import torch

from rl_core.chain.backtest_history import build_backtest_history
from rl_core.chain.bars import build_bars
from rl_core.chain.bc_policy import build_bc_policy
from rl_core.chain.offline_dataset import build_offline_dataset
from rl_core.chain.ppo_checkpoints import TrainingOptions
from rl_core.chain.ppo_policy import build_ppo_policy
from rl_core.chain.prediction_validation import build_prediction_validation
from rl_core.chain.regime_dataset import build_regime_dataset
from rl_core.chain.soundness import require_sound
from rl_core.chain.workplace import Workplace


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
