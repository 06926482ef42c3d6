"""How a step of the chain becomes an asset of a desk, with its checks."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import dagster as dg

from pipeline.launch import run_training
from pipeline.reporting import present, present_update, present_version
from rl_core.base.errors import TollgateError
from rl_core.base.markdown import escaped
from rl_core.desk import DeskConfig
from rl_core.steps.context import DeskContext
from rl_core.steps.runner import build, verdicts
from rl_core.steps.step import Step

STALE_AFTER = timedelta(days=8)  # a version is retrained every week
UPDATED_WITHIN = timedelta(hours=3)  # bars are brought in by the hour
LONGEST_CLOSURE = timedelta(days=4)  # a weekend with holidays


Shown = dg.MaterializeResult[Any] | dg.AssetCheckResult


def step_asset(desk: DeskConfig, step: Step[Any]) -> dg.AssetsDefinition:
    """The asset `[desk, step]`, in the desk's group, or in one of its own beside the chain."""

    @dg.asset(
        key=asset_key(desk, step),
        group_name=desk.name if step.is_in_chain else f"{desk.name}_{step.name}",
        owners=list(desk.owners),
        description=f"{step.about}\n\nMarket: {escaped(desk.bars.market_name)}.",
        kinds=set(step.technologies),
        deps=[asset_key(desk, need) for need in (*step.needs, *step.follows)],
        freshness_policy=freshness(desk, step),
        output_required=not step.moves,  # an update that finds nothing new is none,
        check_specs=check_specs(desk, step) if step.moves else None,  # and is checked even so
    )
    def compute(context: dg.AssetExecutionContext) -> Iterator[Shown]:
        if step.runs == "child":
            yield run_training(context, step, desk.name)
            return
        try:
            yield from _built(context, desk, step)
        except TollgateError as error:  # one line says what is wrong; where it was raised does not
            raise dg.Failure(description=str(error), allow_retries=False) from None

    return compute


def _built(context: dg.AssetExecutionContext, desk: DeskConfig, step: Step[Any]) -> Iterator[Shown]:
    """Build a step in the run's own process, and show what came of it."""
    own = DeskContext.open(desk.name)
    if step.moves:
        if (shown := present_update(context, own)) is not None:
            yield shown
        yield from check_results(desk, step)
    elif step.kept_in == "models":
        yield present_version(own, step)
    else:
        yield present(own, step, build(own, step))


def freshness(desk: DeskConfig, step: Step[Any]) -> dg.FreshnessPolicy | None:
    """After how long without a materialization an asset is stale in the UI."""
    if step.moves and not desk.bars.is_simulated:
        bars = desk.quality.max_bars_late + 1
        closed = timedelta(0) if desk.bars.hours is None else LONGEST_CLOSURE
        late = bars * timedelta(microseconds=desk.bars.interval_ns / 1000)
        return dg.FreshnessPolicy.time_window(fail_window=closed + max(late, UPDATED_WITHIN))
    if step.kept_in == "models":
        return dg.FreshnessPolicy.time_window(fail_window=STALE_AFTER)
    return None


def step_checks(desk: DeskConfig, step: Step[Any]) -> dg.AssetChecksDefinition:
    """A step's own checks, each with what it guards."""

    @dg.multi_asset_check(specs=check_specs(desk, step), name=f"{desk.name}_{step.name}_checks")
    def checks() -> Iterator[dg.AssetCheckResult]:
        yield from check_results(desk, step)

    return checks


def check_specs(desk: DeskConfig, step: Step[Any]) -> list[dg.AssetCheckSpec]:
    """A step's checks, as Dagster lists them."""
    return [
        dg.AssetCheckSpec(
            check.name, asset=asset_key(desk, step), blocking=check.blocks, description=check.guards
        )
        for check in step.checks
    ]


def check_results(desk: DeskConfig, step: Step[Any]) -> Iterator[dg.AssetCheckResult]:
    """What a step's checks find now."""
    for check in verdicts(DeskContext.open(desk.name), step):
        figures = {name: value for name, value in check.figures.items() if value is not None}
        yield dg.AssetCheckResult(
            asset_key=asset_key(desk, step),
            check_name=check.name,
            passed=check.passed,
            severity=dg.AssetCheckSeverity.ERROR
            if check.is_blocking
            else dg.AssetCheckSeverity.WARN,
            description=escaped(check.detail),
            metadata=figures,
        )


def asset_key(desk: DeskConfig, step: Step[Any]) -> dg.AssetKey:
    """The key of an asset: desk, then step."""
    return dg.AssetKey([desk.name, step.name])
