"""How figures read: percent, numbers, a dash for what is undefined; pictures inside text."""

import base64
from collections.abc import Mapping
from typing import Any


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as percent, or a dash."""
    return "–" if value is None else f"{100 * value:.{digits}f}%"


def number(value: float | None, digits: int = 2) -> str:
    """A number, or a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"


def flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested figures as `outer/inner`, without the unknown: Dagster plots numbers, not tables."""
    result: dict[str, Any] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            result |= flat(value, f"{prefix}{name}/")
        elif value is not None:
            result[f"{prefix}{name}"] = value
    return result


def inline_image(name: str, png: bytes) -> str:
    """A PNG as Markdown with the picture inside."""
    return f"![{name}](data:image/png;base64,{base64.b64encode(png).decode()})"
