"""The regime filter: keeps training rows of one kind of market, and all other rows."""

import numpy as np
import pandas as pd

from rl_core.base.errors import TollgateError
from rl_core.features.regimes import RegimeThresholds, regime_filter
from rl_core.features.settings import RegimeFilterMode
from rl_core.offline.settings import RegimeFilterConfig

MODES: tuple[RegimeFilterMode, ...] = ("all", "high_volatility", "trending", "ranging")


def filter_training_rows(
    dataset: pd.DataFrame, thresholds: RegimeThresholds, config: RegimeFilterConfig
) -> pd.DataFrame:
    """The dataset without the training rows that the mode leaves out.

    Raises:
        TollgateError: fewer training rows remain than `min_train_rows`.
    """
    kept = _kept(dataset, thresholds, config.mode) | (dataset["split"] != "train").to_numpy()
    filtered = dataset[kept].reset_index(drop=True)
    train_rows = int((filtered["split"] == "train").sum())
    if train_rows < config.min_train_rows:
        raise TollgateError(
            f"regime filter {config.mode} must leave at least {config.min_train_rows} "
            f"training rows, was {train_rows}"
        )
    return filtered


def rows_per_mode(dataset: pd.DataFrame, thresholds: RegimeThresholds) -> dict[str, int]:
    """How many training rows each mode would keep."""
    train = dataset[dataset["split"] == "train"]
    return {mode: int(_kept(train, thresholds, mode).sum()) for mode in MODES}


def _kept(rows: pd.DataFrame, thresholds: RegimeThresholds, mode: RegimeFilterMode) -> np.ndarray:
    return regime_filter(rows["atr_fraction"].to_numpy(), rows["adx"].to_numpy(), thresholds, mode)
