"""How good return predictions are. Unknown targets, NaN, are left out. Shapes: N rows."""

import numpy as np
from numpy.typing import NDArray
from scipy.stats import spearmanr

from rl_core.judging.figures import PredictionMetrics

Array = NDArray[np.float64]

PLAIN_THRESHOLD = 0.001  # the rule of thumb |prediction| >= 0.1%; reported, never judged by


def prediction_metrics(prediction: Array, target: Array) -> PredictionMetrics:
    """Figures of one horizon.

    Args:
        prediction: (N,) fractions; must be finite.
        target: (N,) fractions; NaN is unknown.
    """
    known = np.isfinite(target)
    p, y = prediction[known], target[known]
    target_sd = float(y.std()) if len(y) else 0.0
    varies = len(y) > 2 and float(p.std()) > 0 and target_sd > 0
    return PredictionMetrics(
        known_targets=len(y),
        prediction_sd=float(prediction.std()),
        target_sd=target_sd,
        implied_r2=float((prediction.std() / target_sd) ** 2) if target_sd > 0 else 0.0,
        correlation=float(np.corrcoef(p, y)[0, 1]) if varies else None,
        rank_correlation=float(spearmanr(p, y).statistic) if varies else None,
        r2_against_zero=float(1 - ((y - p) ** 2).mean() / (y**2).mean()) if target_sd > 0 else None,
        plain_threshold_share=float((np.abs(prediction) >= PLAIN_THRESHOLD).mean()),
    )


def largest_identical_share(prediction: Array) -> float:
    """Share of the rows that carry the commonest value."""
    _, counts = np.unique(prediction, return_counts=True)
    return float(counts.max() / len(prediction))
