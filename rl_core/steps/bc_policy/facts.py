"""What the seal of a clone says."""

from pydantic import BaseModel, ConfigDict

from rl_core.learning.cloning.figures import CloningScores, OverfittingReport
from rl_core.steps.step import Facts


class SeedEnsemble(BaseModel):
    """How the majority vote of several seeds imitates the teacher, beside each seed alone."""

    model_config = ConfigDict(frozen=True)

    seeds: list[int]
    accuracy: float  # on validation, as the next two
    balanced_accuracy: float
    strength_error: float  # mean absolute, where teacher and vote order the same
    accuracy_by_seed: dict[str, float]


class CloneFacts(Facts):
    """How well the clone that was kept imitates the teacher."""

    best_epoch: int  # from 1
    epochs: int
    parameters: int
    seed: int
    skipped_updates: int
    train: CloningScores
    validation: CloningScores
    overfitting: OverfittingReport
    seed_ensemble: SeedEnsemble | None = None  # None for a single seed
