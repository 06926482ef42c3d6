"""Conformal intervals of a judged policy's forecasts.

Shapes: R rows of a split, H horizons.
"""

import numpy as np
import torch

from rl_core.base.units import length_ns
from rl_core.judging.statistics.conformal import conformal_quantile, coverage_of
from rl_core.learning.cloning.clone import split_heads
from rl_core.learning.models.actor_critic import Heads
from rl_core.steps.prediction_validation.judged import Array, JudgedPolicy
from rl_core.store.intervals import ReturnInterval

VOLATILITY_FLOOR = 0.1  # of the training median: a market that stands still promises nothing


def overlap_bars(judged: JudgedPolicy) -> tuple[int, ...]:
    """How many bars a target of each horizon spans, (H,)."""
    interval = judged.desk.bars.interval_ns
    return tuple(max(-(-length_ns(h) // interval), 1) for h in judged.policy.spec.horizons)


def return_intervals(judged: JudgedPolicy, coverage: float) -> dict[str, ReturnInterval]:
    """Conformal intervals of each horizon; empty if the heads are untrained.

    A residual is measured in volatilities of its bar, so that an interval is wide when the market
    is. The width that is served is calibrated on validation and test, the latest rows, on which
    nothing was fitted but by how much each head is shrunk; the coverage that is reported is that of
    one calibrated on validation alone.
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
