"""What PPO is trained on: the market, where accounts start, targets, and how it is validated."""

import copy
from typing import Any

import torch

from rl_core.desk import DeskConfig
from rl_core.judging.statistics.selection import condensed
from rl_core.kinds.registry import kind_of
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.models.policy_file import (
    Policy,
)
from rl_core.learning.ppo.history import Validation
from rl_core.learning.ppo.setup import TrainingProblem
from rl_core.steps.bars import BARS
from rl_core.steps.context import Task
from rl_core.steps.ppo_policy.rows import kept_bars, return_targets
from rl_core.steps.reading import read_dataset, read_market
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.scoring import evaluate_policy, split_span
from rl_core.trading.performance import bar_returns


def trading_problem(
    task: Task, desk: DeskConfig, policy: Policy, device: torch.device
) -> TrainingProblem[Any]:
    """The training span with the data filter's starts, and how a policy is validated."""
    dataset, kind = read_dataset(task.input(REGIMES)), kind_of(desk)
    market = read_market(task.context, task.input(BARS), policy.spec.thresholds)
    span = split_span(dataset, "validation")

    def validate(model: ActorCritic, iteration: int) -> Validation:
        _, walk = evaluate_policy(kind, market, model, span, memory_bars=desk.ppo.rollout_steps)
        return Validation(
            iteration=iteration,
            score=walk.performance.sharpe,
            figures=walk.performance.model_dump(),
            returns=condensed(bar_returns(walk.equity)),
        )

    return TrainingProblem(
        environment=kind.training_environment(
            market,
            kept_bars(desk, dataset, policy.spec.thresholds),
            desk.ppo.rollout_steps,
            device,
        ),
        targets=return_targets(desk, policy.model, dataset, len(market.bars), device),
        initial_cash=desk.initial_cash,
        validate=validate,
        clone=copy.deepcopy(policy.model).eval() if desk.ppo.clone_kl_coefficient else None,
    )
