"""What all folds of a walk forward show together."""

import pytest

from rl_core.steps.walk_forward.figures import FoldFigures
from rl_core.steps.walk_forward.report import pooled_coverage


def fold(coverage: dict[str, float], known: dict[str, int]) -> FoldFigures:
    return FoldFigures.model_construct(coverage=coverage, known_targets=known)


def test_coverage_is_pooled_over_targets_and_not_averaged_over_folds() -> None:
    folds = [
        fold({"1h": 0.5, "24h": 0.8}, {"1h": 100, "24h": 50}),
        fold({"1h": 1.0}, {"1h": 300, "24h": 0}),
    ]
    pooled = pooled_coverage(folds)
    assert pooled == {"1h": pytest.approx(350 / 400), "24h": pytest.approx(0.8)}
