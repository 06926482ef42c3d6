"""What the gate's checks look at, gathered from the sealed links.

Shapes: S bars of the test span, H horizons, R rows of a dataset, A actions.
"""

from collections.abc import Mapping

import numpy as np
import torch

from rl_core.base.errors import TollgateError
from rl_core.base.units import length_ns
from rl_core.judging.skill.forecast import ForecastEvidence
from rl_core.judging.skill.tier import SkillEvidence
from rl_core.judging.skill.trading import TradingEvidence
from rl_core.judging.statistics.conformal import conformal_quantile, coverage_of
from rl_core.learning.cloning.clone import (
    split_heads,
)
from rl_core.learning.models.actor_critic import Heads
from rl_core.offline.dataset import dataset_arrays
from rl_core.steps.context import DeskContext
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.prediction_validation.judged import Array, JudgedPolicy
from rl_core.store.intervals import ReturnInterval
from rl_core.store.trials import Trial, candidates_of, number_of, variance_of

VOLATILITY_FLOOR = 0.1  # of the training median: a market that stands still promises nothing


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
