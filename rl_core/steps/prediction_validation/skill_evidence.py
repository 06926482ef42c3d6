"""What the gate's checks look at, gathered from the sealed links.

Shapes: S bars of the test span, H horizons, R rows of a dataset, A actions.
"""

from collections.abc import Mapping

import numpy as np

from rl_core.base.errors import TollgateError
from rl_core.judging.accounts import CONTENDERS
from rl_core.judging.skill.forecast import ForecastEvidence
from rl_core.judging.skill.tier import SkillEvidence
from rl_core.judging.skill.trading import TradingEvidence
from rl_core.kinds.base import AccountWalk
from rl_core.offline.dataset import dataset_arrays
from rl_core.steps.context import DeskContext
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.prediction_validation.intervals import overlap_bars
from rl_core.steps.prediction_validation.judged import JudgedPolicy
from rl_core.store.trials import Trial, candidates_of, number_of, variance_of
from rl_core.trading.performance import bar_returns


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


def skill_evidence(judged: JudgedPolicy, walks: Mapping[str, AccountWalk]) -> SkillEvidence:
    """Gather the arrays that the skill tier judges."""
    per_year = judged.bars_per_year
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
            returns={
                name: bar_returns(walk.equity)
                for name, walk in walks.items()
                if name not in CONTENDERS
            },
            bars_per_year=per_year,
            trials=number_of(trials),
            trial_variance=None if variance is None else variance / per_year,
            candidates=candidates_of(trials, judged.input(OFFLINE_DATASET).content),
        ),
    )
