"""What the seal of a PPO training says."""

from pydantic import Field

from rl_core.steps.step import Facts
from rl_core.trading.performance import Performance


class PPOFacts(Facts):
    """The figures of a PPO training in its seal."""

    started_from: str
    best_iteration: int  # whose policy was kept; 0 is the one that training started from
    env_steps: int
    sizes: dict[str, int]  # as trained: what was asked for, or what fits into the memory
    seeds: int  # clones from which the one that training started from was picked
    explained_variance: float | None  # of the critic as trained
    entropy: float | None  # of the kept iteration, nats
    skipped_updates: int
    skipped_by_cause: dict[str, int]
    # on all training rows: those logged at each update are of that rollout's bars only
    return_losses_before: dict[str, float]  # by horizon
    return_losses_after: dict[str, float]
    validation_of_clone: Performance
    validation: Performance
    score: float  # composite, for people
    # by horizon, of validation: by how much its head was shrunk, and R2 against zero after that,
    # in sample by that one number
    shrinkage: dict[str, float] = Field(default_factory=dict)
    validation_r2: dict[str, float | None] = Field(default_factory=dict)
