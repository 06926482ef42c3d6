"""Configuration of the gate."""

from pydantic import BaseModel, ConfigDict, Field


class GateConfig(BaseModel):
    """Thresholds between a trained model and its use."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    require_predictions: bool = Field(
        default=True, description="refuse a model whose return heads were not trained"
    )
    min_implied_r2: float = Field(
        default=1e-4, ge=0, lt=1, description="sd(prediction) >= sqrt(this) x sd(return)"
    )
    max_identical_share: float = Field(
        default=0.05, gt=0, le=1, description="of test states with one and the same prediction"
    )
    max_action_share: float = Field(default=0.95, gt=0, le=1, description="of the commonest action")
    max_loss_gap: float = Field(default=0.2, gt=0, description="imitation loss, test - train")
    max_accuracy_gap: float = Field(default=0.10, gt=0, le=1, description="train - test")
    max_p99_milliseconds: float = Field(default=10.0, gt=0, description="of one prediction")
    max_account_error: float = Field(
        default=1e-6, gt=0, description="environment against backtest, relative, on equity"
    )
