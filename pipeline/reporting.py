"""How a sealed artefact, or a deployed version, shows in the Dagster UI."""

import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from rl_core.base.figures import flat, inline_image
from rl_core.steps.context import DeskContext, Opened
from rl_core.steps.latest_bars import LATEST, update_bars
from rl_core.steps.offline_dataset import OFFLINE_DATASET, dataset_sample
from rl_core.steps.step import Step

DATA_VERSION_TAG = "dagster/data_version"


def present(
    context: DeskContext,
    step: Step[Any],
    opened: Opened[Any],
    first: Mapping[str, Any] | None = None,
) -> dg.MaterializeResult[Any]:
    """Figures and data version of an artefact, its table's columns, its report and plots.

    Args:
        context: the desk.
        step: whose artefact.
        opened: the artefact.
        first: figures to show before all others.
    """
    shown = _shown({**(first or {}), **opened.facts.model_dump(mode="json"), **opened.seal.timings})
    if step.table:
        shown |= _table(opened, step.table)
    if step is OFFLINE_DATASET:
        shown["sample"] = dg.MetadataValue.md(
            dataset_sample(context, opened).to_markdown(index=False)
        )
    if "report.md" in opened.seal.files:
        shown["report"] = dg.MetadataValue.md(opened.read("report.md").decode())
    plots = {name: opened.read(name) for name in opened.seal.files if name.endswith(".png")}
    dg.get_dagster_logger().info(f"{step.name}: {opened.content[:12]}")
    return dg.MaterializeResult(
        metadata={**shown, **_pictures(plots)}, data_version=dg.DataVersion(opened.content)
    )


def present_version(context: DeskContext, step: Step[Any]) -> dg.MaterializeResult[Any]:
    """Deploy, and show the new version's figures and its model card."""
    # imported by the run: torch takes a second and should not hold up the UI
    from rl_core.steps.deployed_model.card import in_order, with_pictures
    from rl_core.steps.deployed_model.deploy import deploy
    from rl_core.steps.deployed_model.step import deployed_facts

    folder, manifest = (version := deploy(context, step)).folder, version.manifest
    plots = {n: folder.read(n) for n in in_order(n for n in folder.files if n.endswith(".png"))}
    card = with_pictures(folder.read("model_card.md").decode(), plots)
    return dg.MaterializeResult(
        data_version=dg.DataVersion(manifest.files["policy.safetensors"]),
        metadata={
            **_shown(deployed_facts(manifest).model_dump(mode="json")),
            "path": dg.MetadataValue.path(str(version.directory)),
            "model_card": dg.MetadataValue.md(card),
        },
    )


def present_update(
    context: dg.AssetExecutionContext, own: DeskContext
) -> dg.MaterializeResult[Any] | None:
    """Bring new bars in, and show what came; None if nothing did, so that the asset grows stale."""
    found = update_bars(own)
    event = context.instance.get_latest_materialization_event(context.asset_key)
    shown = event.asset_materialization if event else None
    # bars that a command line or another link brought in are news to Dagster
    is_known = (
        shown is not None and (shown.tags or {}).get(DATA_VERSION_TAG) == found.latest.content
    )
    if is_known:
        context.log.info(f"nothing new: bars are what they were, up to {found.latest.facts.end}")
        return None
    said = "the first bars" if found.revisions is None else found.revisions.describe()
    return present(own, LATEST, found.latest, {"update": said})


def _table(opened: Opened[Any], pattern: str) -> dict[str, Any]:
    """Schema and number of rows of a Parquet file, or of all that a pattern names."""
    parts = [
        pq.ParquetFile(io.BytesIO(opened.read(name))) for name in opened.artifact.parts(pattern)
    ]
    columns = [dg.TableColumn(field.name, str(field.type)) for field in parts[0].schema_arrow]
    return {
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "dagster/row_count": sum(part.metadata.num_rows for part in parts),
        "path": dg.MetadataValue.path(str(opened.path / pattern)),
    }


def _pictures(plots: Mapping[str, bytes]) -> dict[str, dg.MarkdownMetadataValue]:
    """PNGs as Markdown with the picture inside."""
    return {
        Path(name).stem: dg.MetadataValue.md(inline_image(Path(name).stem, content))
        for name, content in plots.items()
    }


def _shown(figures: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: value if isinstance(value, bool | int | float | str) else dg.MetadataValue.json(value)
        for name, value in flat(figures).items()
    }
