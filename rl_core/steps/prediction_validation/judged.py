"""The policy under judgement, with what it is judged on.

Shapes: S bars of the test span, H horizons.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rl_core.desk import DeskConfig
from rl_core.features.prepare import PreparedMarket
from rl_core.learning.cloning.clone import (
    Demonstrations,
)
from rl_core.learning.models.policy_file import Policy
from rl_core.learning.policy_walk import PolicyDecisions
from rl_core.offline.dataset import dataset_arrays
from rl_core.steps.context import DeskContext, Opened
from rl_core.steps.reading import read_dataset
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.step import F_co, Step

Array = NDArray[np.float64]


CPU = torch.device("cpu")


@dataclass(frozen=True)
class JudgedPolicy:
    """The policy under judgement, and what it is judged on."""

    context: DeskContext
    inputs: Mapping[str, Opened[Any]]  # of the gate, by step
    policy: Policy
    market: PreparedMarket
    dataset: pd.DataFrame  # all rows
    decisions: PolicyDecisions  # on the test span

    @property
    def desk(self) -> DeskConfig:
        """The settings of the desk to judge by."""
        return self.context.desk

    def input(self, step: Step[F_co]) -> Opened[F_co]:
        """The artefact of a step that the gate was given."""
        return self.inputs[step.name]

    def rows(self, split: str) -> pd.DataFrame:
        """The rows of the dataset that belong to a split."""
        return self.dataset[self.dataset["split"] == split]

    def demonstrations(self, split: str) -> Demonstrations:
        """The same as the losses take them; training rows as the regime filter left them."""
        dataset = read_dataset(self.input(REGIMES)) if split == "train" else self.dataset
        arrays = dataset_arrays(dataset, self.policy.spec.horizons, split)
        return Demonstrations.from_arrays(arrays, CPU)

    @property
    def predictions(self) -> Array | None:
        """Predictions (S, H) on the test span, if every horizon's return head was trained."""
        spec = self.policy.spec
        is_trained = set(spec.trained_horizons) == set(spec.horizons)
        return self.decisions.predicted_returns if is_trained else None

    @property
    def targets(self) -> Array:
        """What came (S, H), NaN is unknown."""
        horizons = self.policy.spec.horizons
        return dataset_arrays(self.dataset, horizons, "test").returns.astype(np.float64)
