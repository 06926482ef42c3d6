"""Tell the Dagster run that started this command, through Pipes, or the terminal."""

import logging
import os
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, PipesContext, open_dagster_pipes

from rl_core.base import logs
from rl_core.base.errors import TollgateError
from rl_core.base.figures import flat, inline_image


class PipesHandler(logging.Handler):
    """Sends log records to the Dagster run."""

    def __init__(self, pipes: PipesContext) -> None:
        super().__init__()
        self._pipes = pipes

    def emit(self, record: logging.LogRecord) -> None:
        """One line of the run's log."""
        is_warning = record.levelno >= logging.WARNING
        send = self._pipes.log.warning if is_warning else self._pipes.log.info
        send(record.getMessage())


class Reporter:
    """Reports a finished asset to the Dagster run, if there is one."""

    def __init__(self, pipes: PipesContext | None = None) -> None:
        self._pipes = pipes

    def materialized(
        self, figures: Mapping[str, Any], plots: Sequence[Path], data_version: str
    ) -> None:
        """Report the asset, its plots as pictures."""
        if self._pipes is not None:
            pictures = {
                path.stem: {"raw_value": inline_image(path.stem, path.read_bytes()), "type": "md"}
                for path in plots
            }
            self._pipes.report_asset_materialization(
                metadata={**flat(figures), **pictures}, data_version=data_version
            )


@contextmanager
def reporter() -> Generator[Reporter]:
    """A reporter for this process, connected to Dagster if Dagster started it."""
    if DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ:
        yield Reporter()
        return
    with open_dagster_pipes() as pipes:
        logs.configure(PipesHandler(pipes))
        try:
            yield Reporter(pipes)
        except TollgateError as error:
            pipes.log.critical(str(error))
            raise
