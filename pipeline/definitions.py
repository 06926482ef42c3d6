"""The code location: for each desk its assets, their checks, its jobs and one weekly schedule."""

import logging
import re
from typing import Any

import dagster as dg

from pipeline.step_asset import asset_key, step_asset, step_checks
from rl_core.base.files import sha256_bytes
from rl_core.base.markdown import escaped
from rl_core.desk import DeskConfig, read_desks
from rl_core.steps.chain import STEPS
from rl_core.steps.context import DeskContext
from rl_core.steps.latest_bars import LATEST, bars_are_due
from rl_core.steps.step import Step

log = logging.getLogger(__name__)


def desk_definitions(desk: DeskConfig) -> dg.Definitions:
    """Everything that Dagster knows of one desk."""
    job = dg.define_asset_job(
        f"retrain_{desk.name}",
        selection=dg.AssetSelection.groups(desk.name),
        description=f"Bars to deployed model. {escaped(desk.description)}",
    )
    apart = [
        dg.define_asset_job(
            job_apart(desk, step),
            selection=dg.AssetSelection.assets(asset_key(desk, step)),
            description=step.about.splitlines()[0],
        )
        for step in STEPS
        if not step.is_in_chain
    ]
    retrain = dg.ScheduleDefinition(
        job=job,
        cron_schedule=desk.retrain.cron,
        execution_timezone=desk.retrain.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING
        if desk.retrain.is_enabled
        else dg.DefaultScheduleStatus.STOPPED,
    )
    return dg.Definitions(
        assets=[step_asset(desk, step) for step in STEPS],
        asset_checks=[step_checks(desk, step) for step in STEPS if not step.moves],
        jobs=[job, *apart],
        schedules=[retrain, update_schedule(desk)],
    )


def job_apart(desk: DeskConfig, step: Step[Any]) -> str:
    """Name of the job of a step that runs beside the chain."""
    return f"{step.name}_{desk.name}"


def update_schedule(desk: DeskConfig) -> dg.ScheduleDefinition:
    """New bars by the desk's calendar: a tick at which none can have closed starts no run."""

    def is_due(_context: dg.ScheduleEvaluationContext) -> bool:
        return bars_are_due(DeskContext.open(desk.name))

    return dg.ScheduleDefinition(
        job_name=job_apart(desk, LATEST),
        cron_schedule=desk.update.cron,
        execution_timezone=desk.update.timezone,
        should_execute=is_due,
        default_status=dg.DefaultScheduleStatus.RUNNING
        if desk.update.is_enabled
        else dg.DefaultScheduleStatus.STOPPED,
    )


def broken_desk(name: str, problem: str) -> dg.AssetSpec:
    """A desk whose file is wrong, as an asset that cannot be materialized and says why."""
    log.error("desk %s is left out: %s", name, problem)
    plain = re.sub(r"[^A-Za-z0-9_]", "_", name)
    if plain != name:  # two names may become one
        plain += f"_{sha256_bytes(name.encode())[:6]}"
    return dg.AssetSpec(
        dg.AssetKey([plain, "settings_are_broken"]),
        group_name="broken_desks",
        description=f"This desk is left out until its file is mended:\n\n    {escaped(problem)}",
    )


def all_definitions() -> dg.Definitions:
    """Everything of every desk; one that Dagster refuses hides no other."""
    desks, broken = read_desks()
    found: list[dg.Definitions] = []
    for desk in desks:
        try:
            found.append(desk_definitions(desk))
        except Exception as error:  # Dagster's own checks raise errors of many kinds
            broken[desk.name] = str(error)
    return dg.Definitions.merge(
        *found,
        dg.Definitions(
            assets=[broken_desk(name, problem) for name, problem in broken.items()],
            executor=dg.in_process_executor,
        ),
    )


# steps run in the run's own process: training is a child process anyway, and a process a step would
# cost seconds each
defs = all_definitions()
