"""The code location: for each desk its assets, their checks, its jobs and one weekly schedule."""

import logging
import re

import dagster as dg

from pipeline.step_asset import asset_key, step_asset, step_checks
from rl_core.base.files import sha256_bytes
from rl_core.base.markdown import escaped
from rl_core.desk import DeskConfig, read_desks
from rl_core.steps.chain import STEPS

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
            f"{step.name}_{desk.name}",
            selection=dg.AssetSelection.assets(asset_key(desk, step)),
            description=f"{step.about.splitlines()[0]} It takes long: run it by hand.",
        )
        for step in STEPS
        if not step.is_in_chain
    ]
    schedule = dg.ScheduleDefinition(
        job=job,
        cron_schedule=desk.retrain.cron,
        execution_timezone=desk.retrain.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING
        if desk.retrain.is_enabled
        else dg.DefaultScheduleStatus.STOPPED,
    )
    return dg.Definitions(
        assets=[step_asset(desk, step) for step in STEPS],
        asset_checks=[step_checks(desk, step) for step in STEPS],
        jobs=[job, *apart],
        schedules=[schedule],
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


desks, broken = read_desks()
# steps run in the run's own process: training is a child process anyway, and a process a step would
# cost seconds each
defs = dg.Definitions.merge(
    *(desk_definitions(desk) for desk in desks),
    dg.Definitions(
        assets=[broken_desk(name, problem) for name, problem in broken.items()],
        executor=dg.in_process_executor,
    ),
)
