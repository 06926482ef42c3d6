"""How a step of the chain becomes an asset of a desk, with its checks."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from pipeline.launch import run_training
from pipeline.reporting import present, present_version
from rl_core.base.markdown import escaped
from rl_core.desk import DeskConfig
from rl_core.steps.context import DeskContext
from rl_core.steps.runner import build, verdicts
from rl_core.steps.step import Step

STALE_AFTER = timedelta(days=8)  # a version is retrained every week


def step_asset(desk: DeskConfig, step: Step[Any]) -> dg.AssetsDefinition:
    """The asset `[desk, step]`, in the desk's group, or in one of its own beside the chain."""

    @dg.asset(
        key=asset_key(desk, step),
        group_name=desk.name if step.is_in_chain else f"{desk.name}_{step.name}",
        owners=list(desk.owners),
        description=f"{step.about}\n\nMarket: {escaped(desk.bars.market_name)}.",
        kinds=set(step.technologies),
        deps=[asset_key(desk, need) for need in step.needs],
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=STALE_AFTER)
        if step.kept_in == "models"
        else None,
    )
    def compute(context: dg.AssetExecutionContext) -> dg.MaterializeResult[Any]:
        if step.runs == "child":
            return run_training(context, step, desk.name)
        own = DeskContext.open(desk.name)
        if step.kept_in == "models":
            return present_version(own, step)
        return present(own, step, build(own, step))

    return compute


def step_checks(desk: DeskConfig, step: Step[Any]) -> dg.AssetChecksDefinition:
    """A step's own checks, each with what it guards."""
    key = asset_key(desk, step)
    specs = [
        dg.AssetCheckSpec(check.name, asset=key, blocking=check.blocks, description=check.guards)
        for check in step.checks
    ]

    @dg.multi_asset_check(specs=specs, name=f"{desk.name}_{step.name}_checks")
    def checks() -> Iterator[dg.AssetCheckResult]:
        for check in verdicts(DeskContext.open(desk.name), step):
            figures = {name: value for name, value in check.figures.items() if value is not None}
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name=check.name,
                passed=check.passed,
                severity=dg.AssetCheckSeverity.ERROR
                if check.is_blocking
                else dg.AssetCheckSeverity.WARN,
                description=escaped(check.detail),
                metadata=figures,
            )

    return checks


def asset_key(desk: DeskConfig, step: Step[Any]) -> dg.AssetKey:
    """The key of an asset: desk, then step."""
    return dg.AssetKey([desk.name, step.name])
