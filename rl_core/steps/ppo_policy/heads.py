"""The return heads of a policy that is done: as large as validation bears them out."""

import logging

import torch

from rl_core.learning.cloning.clone import split_heads
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.standardise import shrink_heads
from rl_core.steps.bc_policy.demonstrations import demonstrations
from rl_core.steps.context import Task
from rl_core.steps.regime_dataset import REGIMES

log = logging.getLogger(__name__)


@torch.no_grad()
def shrink(task: Task, model: ActorCritic) -> dict[str, dict[str, float | None]]:
    """Shrink each return head by its slope on validation; what came of it, by horizon."""
    desk, horizons = task.context.desk, task.context.desk.dataset.horizons
    if not horizons:
        return {}
    _, rows = demonstrations(task.input(REGIMES), horizons, task.options.device)
    said = split_heads(model.eval(), rows, desk.bc).returns
    shrink_heads(model, said, rows.returns)
    shrinkage = dict(zip(horizons, model.return_shrinkage.tolist(), strict=True))
    log.info(
        "ppo: heads shrunk by their slope on validation: "
        + ", ".join(f"{horizon} to {share:.0%}" for horizon, share in shrinkage.items())
    )
    came = rows.returns.double()
    missed = (came - model.forecasts(said).double()).square().nansum(dim=0)
    r2 = [
        1 - each / whole if whole > 0 else None
        for each, whole in zip(missed.tolist(), came.square().nansum(dim=0).tolist(), strict=True)
    ]
    return {"shrinkage": shrinkage, "validation_r2": dict(zip(horizons, r2, strict=True))}
