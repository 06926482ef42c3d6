"""What is trained: bc_policy, ppo_policy, walk_forward, each the command a person would run."""

import dagster as dg

from pipeline.launch import run_training
from pipeline.wiring import desk_asset
from rl_core.desk import DeskConfig


def policy_assets(desk: DeskConfig) -> list[dg.AssetsDefinition]:
    """The two trained links of a desk."""

    def bc_policy(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """A network that decides as the ensemble did: behaviour cloning.

        Cross-entropy on the action, squared error on the strength, masked Huber on the return
        heads. Runs `tollgate bc` as a child process.
        """
        return run_training(context, "bc", desk.name)

    def ppo_policy(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """The clone, improved by trading thousands of accounts at once: PPO.

        The critic learns first. The iteration that scores best on the validation span is kept.
        Runs `tollgate ppo` as a child process.
        """
        return run_training(context, "ppo", desk.name)

    return [
        desk_asset(desk, bc_policy, kinds={"pytorch"}, deps=["regime_dataset"]),
        desk_asset(
            desk, ppo_policy, kinds={"pytorch"}, deps=["bars", "regime_dataset", "bc_policy"]
        ),
    ]


def walk_forward_asset(desk: DeskConfig) -> dg.AssetsDefinition:
    """What a desk's procedure earns out of sample; in a group of its own, for it takes long."""

    def walk_forward(context: dg.AssetExecutionContext) -> dg.MaterializeResult:
        """The whole procedure, trained anew on one fold after the other.

        Purged and embargoed folds, several seeds; the test spans stitched together. It judges the
        procedure and no model, so the gate does not read it; the model card shows it. Runs
        `tollgate walk-forward` as a child process; folds that are done are not done again.
        """
        return run_training(context, "walk-forward", desk.name)

    group = f"{desk.name}_walk_forward"
    return desk_asset(desk, walk_forward, kinds={"pytorch"}, deps=["bars"], group=group)
