"""The training rows that PPO uses: where accounts may start, and targets of the return heads."""

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rl_core.desk import DeskConfig
from rl_core.features.regimes import RegimeThresholds
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.ppo.update import ReturnTargets
from rl_core.offline.dataset import dataset_arrays
from rl_core.offline.regime_filter import filter_training_rows
from rl_core.offline.settings import RegimeFilterConfig


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
