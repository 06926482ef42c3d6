"""Configuration of the learners."""

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)


class CloningConfig(BaseModel):
    """Behaviour cloning: CE(action), MSE(strength), masked Huber on the return heads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: PositiveInt = 20
    batch_size: PositiveInt = 256
    learning_rate: PositiveFloat = 1e-3
    weight_decay: float = Field(default=1e-4, ge=0)
    action_weight: float = Field(default=1.0, ge=0, description="alpha")
    strength_weight: float = Field(default=1.0, ge=0, description="beta")
    return_weight: float = Field(default=0.1, ge=0, description="of each return head's loss")
    huber_delta: PositiveFloat = 1.0
    gradient_clip: PositiveFloat = 1.0
    max_skipped_updates: PositiveInt = Field(default=10, description="in a row, before it aborts")
    patience_epochs: PositiveInt = Field(default=5, description="without a better validation loss")
    seed: int = Field(default=42, ge=0)


class PPOConfig(BaseModel):
    """PPO fine-tuning of the clone."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    num_envs: PositiveInt = 1024
    rollout_steps: PositiveInt = Field(default=128, description="bars; an episode is one rollout")
    iterations: PositiveInt = 12
    epochs: PositiveInt = 4
    num_minibatches: PositiveInt = 8
    critic_epochs: int = Field(default=4, ge=0, description="extra, on the value head alone")
    critic_warmup_iterations: int = Field(
        default=2, ge=0, description="rollouts of the clone on which only the value head learns"
    )
    actor_learning_rate: PositiveFloat = 3e-4
    critic_learning_rate: PositiveFloat = 9e-4
    discount: float = Field(default=0.99, gt=0, le=1, description="per bar")
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    clip: float = Field(default=0.2, gt=0, lt=1)
    entropy_coefficient: float = Field(default=0.01, ge=0)
    value_coefficient: float = Field(default=0.5, ge=0)
    auxiliary_losses: bool = Field(default=True, description="train the return heads")
    auxiliary_coefficients: dict[str, FiniteFloat] = Field(
        default_factory=dict, description="per horizon; 0.01 where left out"
    )
    huber_delta: PositiveFloat = 1.0
    gradient_clip: PositiveFloat = 0.5
    auxiliary_gradient_clip: PositiveFloat = Field(default=0.1, description="of the return heads")
    max_skipped_updates: PositiveInt = Field(default=10, description="in a row, before it aborts")
    evaluate_every: PositiveInt = Field(default=3, description="iterations between validations")
    seed: int = Field(default=42, ge=0)

    @model_validator(mode="after")
    def _minibatches_divide_the_rollout(self) -> "PPOConfig":
        if self.rollout_steps % self.num_minibatches:
            raise ValueError(
                "rollout_steps must be a multiple of num_minibatches, "
                f"was {self.rollout_steps} and {self.num_minibatches}"
            )
        if bad := {h: c for h, c in self.auxiliary_coefficients.items() if c < 0}:
            raise ValueError(f"auxiliary coefficients must be >= 0, was {bad}")
        return self

    def validates(self, iteration: int) -> bool:
        """Is the policy scored after this iteration? The last one always is."""
        return iteration > 0 and (
            iteration % self.evaluate_every == 0 or iteration == self.iterations
        )

    def auxiliary_coefficient(self, horizon: str) -> float:
        """Weight of a return head's loss; 0 when the heads are not trained."""
        return self.auxiliary_coefficients.get(horizon, 0.01) if self.auxiliary_losses else 0.0
