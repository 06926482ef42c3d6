"""The policy under judgement, with what it is judged on.

Shapes: S bars of the test span, H horizons.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rl_core.desk import DeskConfig
from rl_core.features.prepare import PreparedMarket
from rl_core.kinds.base import AccountWalk
from rl_core.learning.cloning.clone import Demonstrations
from rl_core.learning.models.policy_file import WEIGHTS, Policy, load_policy
from rl_core.learning.policy_walk import PolicyDecisions
from rl_core.offline.dataset import dataset_arrays
from rl_core.steps.bars import BARS, caveats
from rl_core.steps.context import DeskContext, Opened
from rl_core.steps.latest_bars import quality_of
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.reading import read_dataset, read_market
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.scoring import evaluate_policy, split_span
from rl_core.steps.step import F_co, Step
from rl_core.trading.performance import annual_factor

Array = NDArray[np.float64]
CPU = torch.device("cpu")


@dataclass(frozen=True)
class JudgedPolicy:
    """The policy under judgement, and what it is judged on."""

    context: DeskContext
    inputs: Mapping[str, Opened[Any]]  # the artefacts that it is judged with, by step
    policy: Policy
    market: PreparedMarket
    dataset: pd.DataFrame  # all rows

    spans: tuple[tuple[int, int], ...]  # first and last bar of what it traded
    walks: tuple[tuple[PolicyDecisions, AccountWalk], ...]  # of the spans that it traded

    @classmethod
    def open(
        cls,
        context: DeskContext,
        inputs: Mapping[str, Opened[Any]],
        spans: Sequence[tuple[int, int]] = (),
    ) -> "JudgedPolicy":
        """Read a policy with its bars and dataset, and let it trade, all costs paid.

        Args:
            context: the desk.
            inputs: what the gate needs, by step.
            spans: first and last bars, each traded with a new account; the test span if empty.
        """
        policy = load_policy(inputs[PPO.name], context.kind.state.names)
        market = read_market(context, inputs[BARS.name], policy.spec.thresholds)
        dataset = read_dataset(inputs[OFFLINE_DATASET.name])
        traded = tuple(spans) or (split_span(dataset, "test"),)
        walks = [
            evaluate_policy(
                context.kind, market, policy.model, span, memory_bars=policy.spec.memory_bars
            )
            for span in traded
        ]
        return cls(context, inputs, policy, market, dataset, traded, tuple(walks))

    @property
    def span(self) -> tuple[int, int]:
        """First and last bar of the last span that it traded."""
        return self.spans[-1]

    @property
    def decisions(self) -> PolicyDecisions:
        """What it decided on the last span that it traded."""
        return self.walks[-1][0]

    @property
    def account(self) -> AccountWalk:
        """How its account went through that span."""
        return self.walks[-1][1]

    @property
    def weights(self) -> str:
        """SHA-256 of the policy's weights file."""
        return self.input(PPO).seal.files[WEIGHTS]

    @property
    def content(self) -> str:
        """SHA-256 over the files of its artefact."""
        return self.input(PPO).content

    @property
    def bars_per_year(self) -> float:
        """How many bars of the test span make a year."""
        return annual_factor(self.market.ns[self.rows("test")["bar"].to_numpy()])

    @property
    def caveats(self) -> list[str]:
        """What the quality of the bars leaves in doubt."""
        return caveats(quality_of(self.input(BARS)), self.desk.quality)

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
        """The rows of a split as tensors; training rows as the regime filter left them."""
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
    def unshrunk_predictions(self) -> Array | None:
        """The same as the heads say them: whether a head is alive is not a matter of its size."""
        found = self.predictions
        return None if found is None else found / self.policy.model.return_shrinkage.numpy()

    @property
    def targets(self) -> Array:
        """What came (S, H), NaN is unknown."""
        horizons = self.policy.spec.horizons
        return dataset_arrays(self.dataset, horizons, "test").returns.astype(np.float64)
