"""DuckDB files, from which nothing of their own is run."""

from pathlib import Path
from threading import Timer

import duckdb
import pandas as pd

from rl_core.base.errors import TollgateError

SECONDS = 600  # after which a query is interrupted


def read_duckdb(path: Path, table: str | None) -> pd.DataFrame:
    """A table of a DuckDB file.

    A view is code that its author wrote, and could read other files or never end: it is refused,
    and so is access to anything outside the file.

    Raises:
        TollgateError: no such table, a view, or a file that cannot be read in time.
    """
    try:
        with duckdb.connect(
            str(path), read_only=True, config={"enable_external_access": "false"}
        ) as connection:
            kinds = dict(
                connection.execute(
                    "SELECT table_name, table_type FROM information_schema.tables "
                    "WHERE table_schema = 'main'"
                ).fetchall()
            )
            tables = sorted(name for name, kind in kinds.items() if kind == "BASE TABLE")
            if table not in tables:
                was = "a view" if table in kinds else "not set" if table is None else table
                raise TollgateError(
                    f"bars.table must name a table of {path.name} "
                    f"({', '.join(tables) or 'it has none'}), was {was}"
                    + (": store what it shows as a table" if table in kinds else "")
                )
            timer = Timer(SECONDS, connection.interrupt)
            timer.start()
            try:
                quoted = table.replace('"', '""') if table else ""
                return connection.sql(f'SELECT * FROM main."{quoted}"').to_arrow_table().to_pandas()
            finally:
                timer.cancel()
    except duckdb.Error as error:
        reason = str(error).strip().splitlines()[0]
        raise TollgateError(f"bars must be a readable duckdb file, was {path}: {reason}") from None
