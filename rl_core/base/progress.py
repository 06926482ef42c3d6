"""Where progress goes: a terminal, or Dagster through Pipes when it started the process."""

import base64
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dagster_pipes import DAGSTER_PIPES_CONTEXT_ENV_VAR, PipesContext, open_dagster_pipes
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from rl_core.base.errors import TollgateError

_PR_SET_PDEATHSIG = 1


class Reporter:
    """Tells a person and, if there is one, the Dagster run about long work."""

    def __init__(self, pipes: PipesContext | None = None) -> None:
        self._pipes = pipes

    def line(self, text: str) -> None:
        """One line of progress: on standard error, so that standard output stays the result's."""
        if self._pipes is None:
            print(text, file=sys.stderr, flush=True)
        else:
            self._pipes.log.info(text)

    def materialized(
        self, metadata: Mapping[str, Any], plots: Sequence[Path], data_version: str
    ) -> None:
        """Report the finished asset to Dagster, its plots as pictures."""
        if self._pipes is not None:
            pictures = {
                path.stem: {"raw_value": inline_image(path), "type": "md"} for path in plots
            }
            self._pipes.report_asset_materialization(
                metadata={**flat(metadata), **pictures}, data_version=data_version
            )


@contextmanager
def counter(title: str) -> Generator[Callable[[str, int, int], None]]:
    """Counts long work on standard error: a bar in a terminal, now and then a line elsewhere."""
    if sys.stderr.isatty():
        with Progress(
            TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(), TextColumn("{task.description}"), console=Console(stderr=True),
        ) as bar:  # fmt: skip
            task = bar.add_task("", total=None)
            yield lambda what, done, total: bar.update(
                task, description=what, completed=done, total=total
            )
        return

    def line(what: str, done: int, total: int) -> None:
        if done == total or done % max(total // 20, 1) == 0:
            print(f"{title}: {done} of {total} ({what})", file=sys.stderr, flush=True)

    yield line


def inline_image(path: Path) -> str:
    """A PNG as Markdown with the picture inside."""
    encoded = base64.b64encode(path.read_bytes()).decode()
    return f"![{path.stem}](data:image/png;base64,{encoded})"


@contextmanager
def reporter() -> Generator[Reporter]:
    """A reporter for this process, connected to Dagster if Dagster started it."""
    if DAGSTER_PIPES_CONTEXT_ENV_VAR not in os.environ:
        yield Reporter()
        return
    die_with_parent()
    with open_dagster_pipes() as pipes:
        try:
            yield Reporter(pipes)
        except TollgateError as error:
            pipes.log.critical(str(error))
            raise


def flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested figures as `outer/inner`, without the unknown: Dagster plots numbers, not tables."""
    result: dict[str, Any] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{name}/")
        elif value is not None:
            result[f"{prefix}{name}"] = value
    return result


def die_with_parent() -> None:
    """Ask the kernel to end this process with its parent, or a retry would run beside an orphan."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
