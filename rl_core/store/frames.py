"""Parquet files as frames, in no more memory than the frames take once they are read."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def read_frames(
    files: Iterable[Path | bytes], columns: Sequence[str] | None = None
) -> "pd.DataFrame":
    """The tables of some Parquet files, one below the other.

    Arrow keeps for later what it needs no more, as much again as the frame takes: it is given back.

    Args:
        files: their paths or their bytes.
        columns: those that are wanted; all when left out.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    wanted = None if columns is None else list(columns)
    sources = (pa.BufferReader(file) if isinstance(file, bytes) else file for file in files)
    # in one expression, so that no table is left when its memory is given back
    frame = pa.concat_tables([pq.read_table(each, columns=wanted) for each in sources]).to_pandas()
    pa.default_memory_pool().release_unused()
    return frame
