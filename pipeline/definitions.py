"""The code location: for each desk eight assets, their checks, one job and one weekly schedule."""

import dagster as dg

from pipeline.assets.policies import policy_assets
from pipeline.assets.release import release_assets
from pipeline.assets.tables import table_assets
from pipeline.checks import desk_checks
from rl_core.desk import DeskConfig, load_desks


def desk_definitions(desk: DeskConfig) -> dg.Definitions:
    """Everything that Dagster knows of one desk."""
    job = dg.define_asset_job(
        f"retrain_{desk.name}",
        selection=dg.AssetSelection.groups(desk.name),
        description=f"Bars to deployed model. {desk.description}",
    )
    schedule = dg.ScheduleDefinition(
        job=job,
        cron_schedule=desk.retrain.cron,
        execution_timezone=desk.retrain.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING
        if desk.retrain.is_enabled
        else dg.DefaultScheduleStatus.STOPPED,
    )
    return dg.Definitions(
        assets=[*table_assets(desk), *policy_assets(desk), *release_assets(desk)],
        asset_checks=desk_checks(desk),
        jobs=[job],
        schedules=[schedule],
    )


# steps run in the run's own process: training is a child process anyway, and a process a step would
# cost seconds each
defs = dg.Definitions.merge(
    *(desk_definitions(desk) for desk in load_desks()),
    dg.Definitions(executor=dg.in_process_executor),
)
