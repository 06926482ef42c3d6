"""The policy that a PPO training starts from."""

import logging

import torch

from rl_core.base.errors import TollgateError
from rl_core.learning.cloning.clone import cloning_scores
from rl_core.learning.models.actor_critic import head_weights
from rl_core.learning.models.policy_file import (
    Files,
    Policy,
    load_initial_heads,
    load_policy,
    new_model,
)
from rl_core.learning.ppo.learner import require_same_shapes
from rl_core.learning.standardise import fit_units
from rl_core.steps.bc_policy.demonstrations import demonstrations
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.context import Task
from rl_core.steps.reading import read_thresholds
from rl_core.steps.regime_dataset import REGIMES

log = logging.getLogger(__name__)


def starting_policy(task: Task) -> tuple[Policy, str, dict[str, torch.Tensor]]:
    """The policy that training starts from, its name, and its return heads as initialised.

    Mode `full` starts from the clone, `incremental` from the champion; heads alone are trained on
    the policy that PPO last made, or on the champion.

    Raises:
        TollgateError: there is none, or its network is not the one that the desk asks for.
    """
    context, desk, device = task.context, task.context.desk, task.options.device
    files: Files
    if desk.ppo.mode == "incremental":
        version = context.models.served("champion")
        files, name = version.folder, version.manifest.version
    elif desk.ppo.train_heads_only:
        context.require_fresh(task.step)  # it is sealed anew as made from the same inputs
        files = context.open_artifact(task.step)
        name = f"{task.step.name} {files.content[:12]}"
    else:
        files = task.input(CLONE)
        name = f"{CLONE.name} {files.content[:12]}"
    policy = load_policy(files, context.kind.state.names, device)
    initial_heads = load_initial_heads(files)
    thresholds = read_thresholds(task.input(REGIMES))
    # the risk head is the clone's affair: PPO keeps it as it finds it
    shape = desk.model.model_copy(update={"risk_head": policy.spec.model.risk_head})
    memory_bars = desk.ppo.rollout_steps if shape.gru_layers else None
    spec = policy.spec.model_copy(
        update={"model": shape, "thresholds": thresholds, "memory_bars": memory_bars}
    )
    if policy.spec.actions != context.kind.actions:
        raise TollgateError(
            f"{name} must choose from {', '.join(context.kind.actions)}, was trained to choose "
            f"from {', '.join(policy.spec.actions)}"
        )
    if policy.spec.horizons != desk.dataset.horizons:
        raise TollgateError(
            f"{name} must predict {desk.dataset.horizons}, was trained for {policy.spec.horizons}"
        )
    torch.manual_seed(desk.ppo.seed)
    wanted = new_model(spec).to(device)
    try:
        require_same_shapes(wanted, policy.model.state_dict(), name)
    except TollgateError as mismatch:
        if not task.options.allow_fresh or desk.ppo.train_heads_only:
            raise
        log.info(f"ppo: starting from a new network ({spec.model.shape()}): {mismatch}")
        train, _ = demonstrations(task.input(REGIMES), desk.dataset.horizons, device)
        fit_units(wanted, train.states, train.returns)
        return Policy(wanted.eval(), spec), "a new network", head_weights(wanted)
    return Policy(policy.model, spec), name, initial_heads


def return_losses(task: Task, policy: Policy, device: torch.device) -> list[float]:
    """Masked Huber loss of each return head on the training rows."""
    desk = task.context.desk
    rows, _ = demonstrations(task.input(REGIMES), desk.dataset.horizons, device)
    return cloning_scores(policy.model, rows, desk.bc).return_losses
