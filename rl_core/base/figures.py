"""How figures read: percent, numbers, and a dash for what is undefined."""


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as percent, or a dash."""
    return "–" if value is None else f"{100 * value:.{digits}f}%"


def number(value: float | None, digits: int = 2) -> str:
    """A number, or a dash where it is undefined."""
    return "–" if value is None else f"{value:.{digits}f}"
