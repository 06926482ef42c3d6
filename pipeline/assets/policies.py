"""The links that are trained: bc_policy and ppo_policy, each the command a person would run."""

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
