"""Markdown: the one way in which tables are written, and text from outside made harmless."""

import html
from collections.abc import Iterable, Sequence
from typing import Any

UNKNOWN = "–"


def escaped(text: str) -> str:
    """Text from settings or files for use inside Markdown: neither HTML, link nor table cell."""
    return html.escape(text, quote=False).replace("|", "/").replace("[", r"\[")


def table(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> list[str]:
    """Lines of a Markdown table.

    Args:
        columns: its header.
        rows: as many cells each; whatever they hold becomes harmless text, None a dash.
    """
    return [
        _line(columns),
        "|" + "---|" * len(columns),
        *(_line(row) for row in rows),
    ]


def _line(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(UNKNOWN if cell is None else escaped(str(cell)) for cell in cells)} |"
