"""The code location: for each desk its assets, their checks, its jobs and one weekly schedule."""

import dagster as dg

from pipeline.assets.policies import policy_assets, walk_forward_asset
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
    walk = dg.define_asset_job(
        f"walk_forward_{desk.name}",
        selection=dg.AssetSelection.assets(dg.AssetKey([desk.name, "walk_forward"])),
        description="Train and test on one fold after the other. Many trainings: run it by hand.",
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
        assets=[
            *table_assets(desk),
            *policy_assets(desk),
            *release_assets(desk),
            walk_forward_asset(desk),
        ],
        asset_checks=desk_checks(desk),
        jobs=[job, walk],
        schedules=[schedule],
    )


# steps run in the run's own process: training is a child process anyway, and a process a step would
# cost seconds each
defs = dg.Definitions.merge(
    *(desk_definitions(desk) for desk in load_desks()),
    dg.Definitions(executor=dg.in_process_executor),
)
