"""How well a policy imitates the teacher, in figures."""

from pydantic import BaseModel, ConfigDict


class CloningScores(BaseModel):
    """How well a policy imitates the teacher on one split."""

    model_config = ConfigDict(frozen=True)

    loss: float  # the training loss, balanced as configured, with return and risk heads
    imitation_loss: float  # alpha CE + beta MSE alone, every row alike
    accuracy: float
    balanced_accuracy: float  # mean recall over the actions that occur
    matthews: float  # correlation with the teacher's actions, -1..1
    majority_share: float  # accuracy of always taking the commonest action
    return_losses: list[float]  # masked Huber per horizon, standardised units
    risk_accuracy: float | None  # None without a risk head or a known class


class CloningEpoch(BaseModel):
    """Losses and accuracies after one epoch of cloning."""

    model_config = ConfigDict(frozen=True)

    epoch: int
    train: CloningScores
    validation: CloningScores
    skipped_updates: int  # so far, for a loss or gradients that were not finite


class OverfittingReport(BaseModel):
    """Train beside validation, at the epoch that was kept and over the epochs."""

    model_config = ConfigDict(frozen=True)

    loss_gap: float  # validation - train
    accuracy_gap: float  # train - validation
    is_overfit: bool
    rose_after_best: bool  # did validation loss rise while train loss fell?
    advice: list[str]
