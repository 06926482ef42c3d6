"""How long work is counted for a person."""

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
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
