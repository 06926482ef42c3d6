"""How a sealed artefact shows in the Dagster UI."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import dagster as dg
import pyarrow.parquet as pq

from rl_core.base.progress import flat, inline_image
from rl_core.steps.context import Workplace
from rl_core.store.artifacts import Artifact


def sealed_result(artifact: Artifact, metadata: Mapping[str, Any]) -> dg.MaterializeResult:
    """Figures and data version of an artefact."""
    figures = {
        name: _shown(value)
        for name, value in flat({**artifact.metadata, **artifact.timings}).items()
    }
    return dg.MaterializeResult(
        metadata={**figures, **metadata}, data_version=dg.DataVersion(artifact.content)
    )


def table_result(
    work: Workplace, artifact: Artifact, file: str, **metadata: Any
) -> dg.MaterializeResult:
    """The same for a table, with its schema and row count."""
    path = work.lake.path(artifact.name, file)
    parquet = pq.ParquetFile(path)
    columns = [dg.TableColumn(field.name, str(field.type)) for field in parquet.schema_arrow]
    rows = parquet.metadata.num_rows
    dg.get_dagster_logger().info(f"{artifact.name}: {rows:,} rows, {artifact.content[:12]}")
    table = {
        "dagster/column_schema": dg.TableSchema(columns=columns),
        "dagster/row_count": rows,
        "path": dg.MetadataValue.path(str(path)),
    }
    return sealed_result(artifact, {**table, **metadata})


def image(path: Path) -> dg.MarkdownMetadataValue:
    """A PNG as Markdown with the picture inside."""
    return dg.MetadataValue.md(inline_image(path))


def _shown(value: Any) -> Any:
    return value if isinstance(value, bool | int | float | str) else dg.MetadataValue.json(value)
