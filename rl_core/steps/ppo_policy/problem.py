"""What PPO is trained on: the market, where accounts start, targets, and how it is validated."""

import copy
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rl_core.desk import DeskConfig
from rl_core.features.regimes import RegimeThresholds
from rl_core.judging.statistics.selection import condensed
from rl_core.kinds.registry import kind_of
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.models.policy_file import (
    Policy,
)
from rl_core.learning.ppo.history import Validation
from rl_core.learning.ppo.setup import TrainingProblem
from rl_core.learning.ppo.update import ReturnTargets
from rl_core.offline.dataset import dataset_arrays
from rl_core.offline.regime_filter import filter_training_rows
from rl_core.offline.settings import RegimeFilterConfig
from rl_core.steps.bars import BARS
from rl_core.steps.context import Task
from rl_core.steps.reading import read_dataset, read_market
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.scoring import evaluate_policy, split_span
from rl_core.trading.performance import bar_returns


def trading_problem(
    task: Task, desk: DeskConfig, policy: Policy, device: torch.device
) -> TrainingProblem[Any]:
    """The training span with the data filter's starts, and how a policy is validated."""
    dataset, kind = read_dataset(task.input(REGIMES)), kind_of(desk)
    market = read_market(task.context, task.input(BARS), policy.spec.thresholds)
    span = split_span(dataset, "validation")

    def validate(model: ActorCritic, iteration: int) -> Validation:
        walk = evaluate_policy(
            kind, market, model, span, memory_bars=desk.ppo.rollout_steps, is_quick=True
        )[1]
        return Validation(
            iteration=iteration,
            score=walk.performance.sharpe,
            figures=walk.performance.model_dump(),
            returns=condensed(bar_returns(walk.equity)),
        )

    return TrainingProblem(
        environment=kind.training_environment(
            market,
            kept_bars(desk, dataset, policy.spec.thresholds),
            desk.ppo.rollout_steps,
            device,
        ),
        targets=return_targets(desk, policy.model, dataset, len(market.bars), device),
        initial_cash=desk.initial_cash,
        validate=validate,
        clone=copy.deepcopy(policy.model).eval() if desk.ppo.clone_kl_coefficient else None,
    )


def kept_bars(
    desk: DeskConfig, dataset: pd.DataFrame, thresholds: RegimeThresholds
) -> NDArray[np.int64]:
    """Training bars of the regime dataset, narrowed down by the data filter.

    Raises:
        TollgateError: too few are left.
    """
    narrowed = RegimeFilterConfig(
        mode=desk.ppo.data_filter, min_train_rows=desk.regime_filter.min_train_rows
    )
    rows = filter_training_rows(dataset, thresholds, narrowed)
    kept = rows.loc[rows["split"] == "train", "bar"].to_numpy(np.int64)
    return outside_gaps(kept, dataset, desk.ppo.rollout_steps)


def outside_gaps(
    kept: NDArray[np.int64], dataset: pd.DataFrame, rollout_steps: int
) -> NDArray[np.int64]:
    """Kept bars but those whose rollout would run into another split before training goes on.

    Only folds that leave out the middle of the bars have such gaps.
    """
    other = dataset.loc[dataset["split"] != "train", "bar"].to_numpy(np.int64)
    gaps = np.append(other[other < kept.max()], np.iinfo(np.int64).max)
    return kept[kept + rollout_steps < gaps[np.searchsorted(gaps, kept)]]


def return_targets(
    desk: DeskConfig, model: ActorCritic, dataset: pd.DataFrame, num_bars: int, device: torch.device
) -> ReturnTargets:
    """Targets by bar in units of the model's return scale; unknown outside the training rows."""
    horizons = desk.dataset.horizons
    train = dataset[dataset["split"] == "train"]
    values = torch.full((num_bars, len(horizons)), torch.nan, device=device)
    rows = torch.tensor(train["bar"].to_numpy(np.int64), device=device)
    known = torch.tensor(dataset_arrays(dataset, horizons, "train").returns, device=device)
    values[rows] = known / model.return_scale
    return ReturnTargets(horizons, values)
