"""A table that grows, in parts that never change.

    bars-2017.parquet  bars-2018.parquet  ...      a year each, or a month of bars shorter than 1h

Which part a row belongs to is told by its time alone, so a table that was appended to has the same
parts, byte for byte, as one that was written at once. A part that an earlier version of the table
has too is not written again: both folders name the same file (a hard link), and it is gone when
the last folder is.
"""

import errno
import io
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from rl_core.base.files import sha256_bytes, sha256_file
from rl_core.base.units import NS_PER_HOUR
from rl_core.store.sealed import SealedFolder

if TYPE_CHECKING:
    import pandas as pd

# where links cannot be made: another disk, a file system without them, one link too many
NO_LINKS = {errno.EXDEV, errno.EPERM, errno.ENOTSUP, errno.EMLINK, errno.ENOSYS}


def write_parts(
    frame: "pd.DataFrame",
    directory: Path,
    stem: str,
    interval_ns: int,
    earlier: SealedFolder | None = None,
) -> None:
    """Write a table with a column `timestamp` into a draft, a Parquet file a part.

    Args:
        frame: the rows, in order of time.
        directory: the draft.
        stem: that the files' names begin with.
        interval_ns: a bar's length, which decides how much time a part holds.
        earlier: a sealed folder with parts; those that it has too are linked.
    """
    known = {} if earlier is None else dict(earlier.files)
    period = "%Y" if interval_ns >= NS_PER_HOUR else "%Y-%m"
    for name, rows in frame.groupby(frame["timestamp"].dt.strftime(period), sort=True):
        file = f"{stem}-{name}.parquet"
        buffer = io.BytesIO()
        rows.to_parquet(buffer, index=False)
        raw = buffer.getvalue()
        digest = sha256_bytes(raw)
        same = None if earlier is None or known.get(file) != digest else earlier.path / file
        # hashed again: a part that was damaged since must not be handed on
        if same is not None and sha256_file(same) == digest:
            link(same, directory / file)
            continue
        (directory / file).write_bytes(raw)
        (directory / file).chmod(0o444)  # other folders may come to share it


def link(source: Path, target: Path) -> None:
    """Give a file that never changes another name; a copy where there are no links."""
    try:
        os.link(source, target)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        shutil.copy(source, target)  # with its mode: nobody writes into it
