"""What the gate's checks look at, gathered from the sealed links.

Shapes: S bars of the test span, H horizons, R rows of a dataset, A actions.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.base.units import length_ns
from rl_core.desk import DeskConfig
from rl_core.features.prepare import PreparedMarket
from rl_core.judging.figures import RegimeFigures
from rl_core.judging.safety import (
    Behaviour,
    CloneAgreement,
    Evidence,
    HeadTraining,
    Imitation,
    measure_latencies,
)
from rl_core.judging.skill.forecast import ForecastEvidence
from rl_core.judging.skill.tier import SkillEvidence
from rl_core.judging.skill.trading import TradingEvidence
from rl_core.judging.statistics.conformal import conformal_quantile, coverage_of
from rl_core.learning.cloning.clone import (
    Demonstrations,
    cloning_loss,
    cloning_scores,
    demonstrated_heads,
    split_heads,
    windows,
)
from rl_core.learning.cloning.figures import CloningScores
from rl_core.learning.models.actor_critic import ActorCritic, Heads, head_weights
from rl_core.learning.models.hybrid_action import most_likely_action
from rl_core.learning.models.policy_file import Policy, load_initial_heads, load_policy
from rl_core.learning.policy_walk import PolicyDecisions
from rl_core.learning.settings import CloningConfig
from rl_core.offline.dataset import dataset_arrays
from rl_core.serving.loaded import LoadedModel
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.context import DeskContext, Opened
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.reading import read_dataset
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.step import F_co, Step
from rl_core.store.intervals import ReturnInterval
from rl_core.store.trials import Trial, candidates_of, number_of, variance_of
from rl_core.trading.accounts import HOLD

Array = NDArray[np.float64]

CPU = torch.device("cpu")
GRADIENT_ROWS = 2048  # of training, for the share of the trunk's gradient
VOLATILITY_FLOOR = 0.1  # of the training median: a market that stands still promises nothing


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


def safety_evidence(
    judged: JudgedPolicy, regimes: Mapping[str, RegimeFigures], account_error: float
) -> Evidence:
    """Gather the arrays that the safety tier judges."""
    policy, bc = judged.policy, judged.desk.bc
    train, test = judged.demonstrations("train"), judged.demonstrations("test")
    return Evidence(
        horizons=policy.spec.horizons,
        predictions=judged.predictions,
        targets=judged.targets,
        actions=judged.decisions.action,
        action_names=policy.spec.actions,
        train=imitation(cloning_scores(policy.model, train, bc)),
        test=imitation(cloning_scores(policy.model, test, bc)),
        latencies_seconds=measure_latencies(answering(judged)),
        account_error=account_error,
        regimes=regimes,
        on_train=behaviour(policy, train, bc),
        on_test=behaviour(policy, test, bc),
        heads=None if judged.predictions is None else head_training(judged, train),
        clone=clone_agreement(judged, test),
        missing_links=missing_links(judged),
    )


def answering(judged: JudgedPolicy) -> Callable[[], object]:
    """What a served model does to answer for the last bar, to be timed."""
    policy = judged.policy
    model = LoadedModel(policy, judged.desk, {}, policy.spec.memory_bars)
    return lambda: model.answer(judged.market, {})


def imitation(scores: CloningScores) -> Imitation:
    """How a policy imitates the teacher on one split."""
    return Imitation(scores.imitation_loss, scores.accuracy)


@torch.no_grad()
def behaviour(policy: Policy, rows: Demonstrations, config: CloningConfig) -> Behaviour:
    """How often a policy takes each action on the teacher's states, and how strongly."""
    heads = split_heads(policy.model.eval(), rows, config)
    decided = most_likely_action(heads)
    counts = torch.bincount(decided.category, minlength=len(policy.spec.actions)).double()
    orders = decided.strength[decided.category != HOLD] if policy.spec.has_strength else None
    return Behaviour(
        action_shares=(counts / counts.sum()).numpy(),
        strengths=np.zeros(0) if orders is None else orders.double().numpy(),
    )


def head_training(judged: JudgedPolicy, rows: Demonstrations) -> HeadTraining:
    """How far the return heads moved, and how much of the trunk's gradient is theirs."""
    initial = load_initial_heads(judged.input(PPO))
    moved = torch.zeros(len(judged.policy.spec.horizons))
    length = torch.zeros_like(moved)
    for name, weights in head_weights(judged.policy.model).items():
        before = initial[name].flatten(1) if initial[name].ndim > 1 else initial[name][:, None]
        after = weights.cpu().reshape(before.shape)
        moved += (after - before).square().sum(dim=1)
        length += before.square().sum(dim=1)
    distance = (moved.sqrt() / length.sqrt().clamp(min=1e-12)).tolist()
    return HeadTraining(
        movement=dict(zip(judged.policy.spec.horizons, distance, strict=True)),
        gradient_share=gradient_share(judged.policy.model, rows, judged.desk.bc),
    )


def gradient_share(model: ActorCritic, rows: Demonstrations, config: CloningConfig) -> float:
    """Norm of the return losses' gradient at the encoder / that of all losses, 0..1."""
    index = windows(model, len(rows.actions), config, CPU)
    most = max(GRADIENT_ROWS // len(index), 1)
    batch = rows.take(index[:, :: max(index.shape[1] // most, 1)])
    trunk = [weights for weights in model.encoder.parameters() if weights.requires_grad]
    with torch.enable_grad():
        loss = cloning_loss(
            model, demonstrated_heads(model, batch.states, batch), batch, config, None
        )
        parts = (config.return_weight * loss.returns.sum(), loss.imitation)
        norms = [
            torch.cat(
                [
                    gradient.flatten()
                    for gradient in torch.autograd.grad(
                        part, trunk, retain_graph=True, materialize_grads=True
                    )
                ]
            ).norm()
            for part in parts
        ]
    return float(norms[0] / (norms[0] + norms[1]).clamp(min=1e-12))


def clone_agreement(judged: JudgedPolicy, test: Demonstrations) -> CloneAgreement:
    """How the clone that PPO began with agrees with the teacher."""
    sealed = judged.context.input_of(judged.input(PPO), CLONE)
    clone = load_policy(sealed, judged.context.kind.state.names)
    scores = cloning_scores(clone.model, test, judged.desk.bc)
    return CloneAgreement(
        accuracy=scores.accuracy,
        balanced_accuracy=scores.balanced_accuracy,
        matthews=scores.matthews,
        majority_share=scores.majority_share,
        num_actions=len(test.actions.unique()),
    )


def missing_links(judged: JudgedPolicy) -> list[str]:
    """Steps that the policy's lineage should have and has not, or what is wrong with one."""
    try:
        found = judged.context.artifacts.lineage(judged.input(PPO).artifact)
    except TollgateError as error:
        return [str(error)]
    return [step.name for step in PPO.ancestors if step.name not in found]


def complete_ledger(context: DeskContext) -> list[Trial]:
    """Every trial of the desk.

    Raises:
        TollgateError: a trial was lost, or there are fewer than a version of the store was judged
            with.
    """
    trials = context.trials.trials()
    counted = max(context.models.trials().values(), default=0)
    if number_of(trials) < counted:
        raise TollgateError(
            f"{context.trials.directory} must hold the {counted} trials that a version of the "
            f"store was judged with, was {number_of(trials)}: bring back what was deleted"
        )
    return trials


def overlap_bars(judged: JudgedPolicy) -> tuple[int, ...]:
    """How many bars a target of each horizon spans, (H,)."""
    interval = judged.desk.bars.interval_ns
    return tuple(max(-(-length_ns(h) // interval), 1) for h in judged.policy.spec.horizons)


def skill_evidence(
    judged: JudgedPolicy, returns: Mapping[str, Array], bars_per_year: float
) -> SkillEvidence:
    """Gather the arrays that the skill tier judges."""
    horizons = judged.policy.spec.horizons
    train = dataset_arrays(judged.dataset, horizons, "train").returns.astype(np.float64)
    trials = complete_ledger(judged.context)
    variance = variance_of(trials)
    return SkillEvidence(
        ForecastEvidence(
            horizons=horizons,
            overlap_bars=overlap_bars(judged),
            predictions=judged.predictions,
            targets=judged.targets,
            train_means=np.nanmean(train, axis=0),
        ),
        TradingEvidence(
            returns=returns,
            bars_per_year=bars_per_year,
            trials=number_of(trials),
            trial_variance=None if variance is None else variance / bars_per_year,
            candidates=candidates_of(trials, judged.input(OFFLINE_DATASET).content),
        ),
    )


def return_intervals(judged: JudgedPolicy, coverage: float) -> dict[str, ReturnInterval]:
    """Conformal intervals of each horizon; empty if the heads are untrained.

    A residual is measured in volatilities of its bar, so that an interval is wide when the market
    is. The width that is served is calibrated on validation and test, the latest rows that nothing
    was fitted on; the coverage that is reported is that of one calibrated on validation alone.
    """
    if judged.predictions is None or not np.isfinite(judged.predictions).all():
        return {}
    volatility = judged.market.indicators.volatility
    on_train = volatility[judged.rows("train")["bar"].to_numpy()]
    floor = float(VOLATILITY_FLOOR * np.nanmedian(on_train))
    residuals = {
        split: _residuals(judged, split, volatility, floor) for split in ("validation", "test")
    }
    found: dict[str, ReturnInterval] = {}
    overlaps = overlap_bars(judged)
    for number, horizon in enumerate(judged.policy.spec.horizons):
        validation, test = (residuals[split][:, number] for split in ("validation", "test"))
        both = np.concatenate([validation, test])
        overlap = overlaps[number]
        width = conformal_quantile(both, coverage, overlap)
        earlier = conformal_quantile(validation, coverage, overlap)
        if not np.isfinite(width):
            continue
        found[horizon] = ReturnInterval(
            coverage=coverage,
            half_width=width,
            volatility_floor=floor,
            rows=int(np.isfinite(both).sum()),
            test_coverage=coverage_of(test, earlier) if np.isfinite(earlier) else None,
        )
    return found


@torch.no_grad()
def _residuals(judged: JudgedPolicy, split: str, volatility: Array, floor: float) -> Array:
    """What came less what was predicted (R, H), in volatilities of the bar."""
    model, rows = judged.policy.model.eval(), judged.demonstrations(split)
    heads: Heads = split_heads(model, rows, judged.desk.bc)
    predicted = model.predicted_returns(heads.returns).double().numpy()
    at = np.nan_to_num(volatility[judged.rows(split)["bar"].to_numpy()])
    return (rows.returns.double().numpy() - predicted) / np.maximum(at, floor)[:, None]
