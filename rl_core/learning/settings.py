"""Configuration of the learners."""

import math
from enum import StrEnum
from typing import Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    FiniteFloat,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from rl_core.features.settings import RegimeFilterMode

LARGEST_SEED = 2**62  # generators take 64 bits, and each process adds to it


class CloningConfig(BaseModel):
    """Behaviour cloning: CE(action), MSE(strength), masked Huber on the return heads."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epochs: PositiveInt = Field(default=20, description="at most; it stops early by itself")
    batch_size: PositiveInt = Field(default=256, description="rows of a minibatch")
    learning_rate: PositiveFloat = Field(default=1e-3, description="of AdamW")
    weight_decay: float = Field(default=1e-4, ge=0, description="of AdamW")
    action_weight: float = Field(default=1.0, ge=0, description="alpha")
    strength_weight: float = Field(default=1.0, ge=0, description="beta")
    return_weight: float = Field(default=0.1, ge=0, description="of each return head's loss")
    risk_weight: float = Field(default=0.1, ge=0, description="of the risk head's, if there is one")
    huber_delta: PositiveFloat = Field(default=1.0, description="of the return heads' loss")
    class_balance: Literal["none", "weighted", "sampler", "focal"] = Field(
        default="none", description="what is done about actions that are rare"
    )
    focal_gamma: float = Field(
        default=2.0, ge=0, description="how little easy rows count with class_balance focal"
    )
    label_smoothing: float = Field(
        default=0.0, ge=0, lt=1, description="so that the clone is never so sure it cannot explore"
    )
    noise: float = Field(default=0.0, ge=0, description="sd added to market features, in their sd")
    sequence_bars: PositiveInt = Field(
        default=32, description="consecutive bars that a recurrent network learns at a time"
    )
    gradient_clip: PositiveFloat = Field(default=1.0, description="largest norm of the gradient")
    max_skipped_updates: PositiveInt = Field(default=10, description="in a row, before it aborts")
    patience_epochs: PositiveInt = Field(default=5, description="without a better validation loss")
    seeds: tuple[int, ...] = Field(
        default=(42,), min_length=1, description="one clone each; more than one is an ensemble"
    )

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "CloningConfig":
        if len(set(self.seeds)) < len(self.seeds) or min(self.seeds) < 0:
            raise ValueError(f"seeds must differ and be >= 0, was {list(self.seeds)}")
        if self.label_smoothing and self.class_balance == "focal":
            raise ValueError(
                f"label_smoothing must be 0 with class_balance focal, was {self.label_smoothing}"
            )
        if max(self.seeds) > LARGEST_SEED:
            raise ValueError(f"seeds must be at most {LARGEST_SEED}, was {max(self.seeds)}")
        return self


class PPOConfig(BaseModel):
    """How PPO fine-tunes the cloned policy."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: Literal["full", "incremental"] = Field(
        default="full", description="start from the clone, or from the champion"
    )
    num_envs: PositiveInt = Field(default=1024, description="accounts that trade at once")
    rollout_steps: PositiveInt = Field(default=128, description="bars; an episode is one rollout")
    iterations: PositiveInt = Field(default=12, description="rollouts that the policy learns from")
    episodes: PositiveInt | None = Field(default=None, description="windows; beats iterations")
    timesteps: PositiveInt | None = Field(
        default=None, description="environment steps, warm-up included; beats episodes"
    )
    epochs: PositiveInt = Field(default=4, description="passes over each rollout")
    num_minibatches: PositiveInt = Field(default=8, description="updates of an epoch")
    chunk_steps: PositiveInt = Field(
        default=16, description="bars through which a recurrent network is trained at a time"
    )
    critic_epochs: int = Field(default=4, ge=0, description="extra, on the value head alone")
    critic_warmup_iterations: int = Field(
        default=2, ge=0, description="rollouts of the clone on which only the value head learns"
    )
    actor_learning_rate: PositiveFloat = Field(
        default=3e-4, description="of encoder, policy and return heads"
    )
    critic_learning_rate: PositiveFloat = Field(default=9e-4, description="of the value head")
    lr_annealing: bool = Field(default=False, description="linear, both optimisers alike")
    final_learning_rate: PositiveFloat = Field(default=1e-4, description="of the actor, annealed")
    discount: float = Field(default=0.99, gt=0, le=1, description="per bar")
    gae_lambda: float = Field(
        default=0.95, ge=0, le=1, description="0: little variance, 1: no bias"
    )
    clip: float = Field(default=0.2, gt=0, lt=1, description="of the probability ratio, PPO's own")
    value_clip: PositiveFloat | None = Field(default=None, description="in units of value")
    target_kl: PositiveFloat | None = Field(
        default=None, description="an epoch beyond 1.5 times this is the rollout's last"
    )
    clone_kl_coefficient: float = Field(
        default=0.0, ge=0, description="of KL(clone || policy); anneals to 0 over the training"
    )
    entropy_coefficient: float = Field(default=0.01, ge=0, description="bonus for exploring")
    value_coefficient: float = Field(default=0.5, ge=0, description="weight of the value loss")
    auxiliary_losses: bool = Field(default=True, description="train the return heads")
    auxiliary_coefficients: dict[str, FiniteFloat] = Field(
        default_factory=dict, description="per horizon; 0.01 where left out"
    )
    data_filter: RegimeFilterMode = Field(
        default="all", description="of the regime dataset's training bars, where accounts start"
    )
    train_heads_only: bool = Field(
        default=False, description="the return heads alone, everything else as it was"
    )
    huber_delta: PositiveFloat = Field(default=1.0, description="of the return heads' loss")
    gradient_clip: PositiveFloat = Field(default=0.5, description="largest norm of the gradient")
    auxiliary_gradient_clip: PositiveFloat = Field(default=0.1, description="of the return heads")
    max_skipped_updates: PositiveInt = Field(default=10, description="in a row, before it aborts")
    evaluate_every: PositiveInt = Field(default=3, description="iterations between validations")
    checkpoint_every: PositiveInt = Field(default=10, description="iterations between checkpoints")
    summary_every: PositiveInt = Field(default=10, description="iterations between trade summaries")
    amp: bool = Field(default=False, description="bfloat16, or float16 where there is none")
    compile: bool = Field(default=False, description="fuse rollout and loss with torch.compile")
    seed: int = Field(default=42, ge=0, le=LARGEST_SEED, description="of rollouts and minibatches")

    @model_validator(mode="after")
    def _parts_fit_together(self) -> "PPOConfig":
        if bad := {h: c for h, c in self.auxiliary_coefficients.items() if c < 0}:
            raise ValueError(f"auxiliary coefficients must be >= 0, was {bad}")
        if self.train_heads_only and not self.auxiliary_losses:
            raise ValueError("train_heads_only must have auxiliary_losses, was without")
        if self.lr_annealing and self.final_learning_rate > self.actor_learning_rate:
            raise ValueError(
                "final_learning_rate must be at most the initial one, was "
                f"{self.final_learning_rate} after {self.actor_learning_rate}"
            )
        return self

    @property
    def warmup_iterations(self) -> int:
        """Rollouts before the policy learns; none where the critic would not learn from them."""
        has_critic = self.critic_epochs > 0 and not self.train_heads_only
        return self.critic_warmup_iterations if has_critic else 0

    def for_processes(self, count: int) -> "PPOConfig":
        """Each process's share of what is asked for in steps or windows."""
        shares = {
            name: None if asked is None else math.ceil(asked / count)
            for name, asked in (("timesteps", self.timesteps), ("episodes", self.episodes))
        }
        return self.model_copy(update=shares)

    @property
    def num_iterations(self) -> int:
        """Iterations by the strongest of the three ways to say it."""
        if self.timesteps is not None:
            rollouts = math.ceil(self.timesteps / (self.num_envs * self.rollout_steps))
            return max(rollouts - self.warmup_iterations, 1)
        if self.episodes is not None:
            return math.ceil(self.episodes / self.num_envs)
        return self.iterations

    def validates(self, iteration: int) -> bool:
        """Is the policy scored after this iteration? The last one always is."""
        return iteration > 0 and (
            iteration % self.evaluate_every == 0 or iteration == self.num_iterations
        )

    def auxiliary_coefficient(self, horizon: str) -> float:
        """Weight of a return head's loss; 0 when the heads are not trained."""
        return self.auxiliary_coefficients.get(horizon, 0.01) if self.auxiliary_losses else 0.0

    def learned_share(self, iteration: int) -> float:
        """How much of the training lies behind before this iteration, 0..1."""
        return min(max(iteration - 1, 0) / max(self.num_iterations - 1, 1), 1.0)

    def learning_rate_factor(self, iteration: int) -> float:
        """By which both initial rates are multiplied in this iteration."""
        if not self.lr_annealing:
            return 1.0
        final = self.final_learning_rate / self.actor_learning_rate
        return 1 + (final - 1) * self.learned_share(iteration)

    def clone_kl_weight(self, iteration: int) -> float:
        """Coefficient of the KL to the clone in this iteration; 0 in the last."""
        if self.num_iterations == 1:
            return self.clone_kl_coefficient
        return self.clone_kl_coefficient * (1 - self.learned_share(iteration))


class ModelConfig(BaseModel):
    """The shape of the actor-critic network."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden_dim: int = Field(default=128, ge=1, description="width of the encoder")
    encoder_layers: int = Field(default=2, ge=1, description="layers of the encoder")
    gru_layers: int = Field(
        default=0, ge=0, description="GRU layers after the encoder; 0: no memory"
    )
    head_dim: int = Field(
        default=64, ge=0, description="width of the policy and value heads; 0: they are linear"
    )
    layer_norm: bool = Field(default=True, description="after every hidden layer")
    dropout: float = Field(
        default=0.1, ge=0, lt=1, description="after the encoder; on while cloning, off in PPO"
    )
    attention_dim: int = Field(
        default=0, ge=0, description="width of self-attention over the features; 0: none"
    )
    risk_head: bool = Field(default=False, description="three classes of volatility to come")

    def shape(self) -> str:
        """The settings that decide which weights fit, in words."""
        return ", ".join(
            f"{name} {value}" for name, value in self.model_dump(exclude={"dropout"}).items()
        )


class WindowConfig(BaseModel):
    """Rules and reward of an environment of windows; costs and positions come from the desk."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_drawdown: float = Field(default=0.5, gt=0, le=1, description="fraction of peak equity")
    reward_scale: float = Field(
        default=100.0, gt=0, description="100: reward in percent log growth"
    )


class Verbosity(StrEnum):
    """How much a training says while it runs."""

    QUIET = "quiet"  # one line an iteration
    NORMAL = "normal"  # with bars for rollout, policy and critic in a terminal
    VERBOSE = "verbose"  # with statistics of rollout and advantages


VramPreset = Literal["high", "low"]


PRESETS: dict[VramPreset, dict[str, int]] = {
    "high": {"num_envs": 65_536, "rollout_steps": 512, "num_minibatches": 512},
    "low": {"num_envs": 2_048, "rollout_steps": 128, "num_minibatches": 64},
}
