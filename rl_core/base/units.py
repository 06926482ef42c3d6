"""Units of time in nanoseconds, and lengths of time such as `1h` or `5d`."""

import re
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from rl_core.base.errors import TollgateError

NS_PER_SECOND = 1_000_000_000
NS_PER_MINUTE = 60 * NS_PER_SECOND
NS_PER_HOUR = 60 * NS_PER_MINUTE
NS_PER_DAY = 24 * NS_PER_HOUR
NS_PER_YEAR = 365.25 * NS_PER_DAY

_WRITTEN = {"d": NS_PER_DAY, "h": NS_PER_HOUR, "min": NS_PER_MINUTE, "s": NS_PER_SECOND}
_UNITS = {
    ("ns",): 1,
    ("us",): 1_000,
    ("ms",): 1_000_000,
    ("s", "sec", "second", "seconds"): NS_PER_SECOND,
    ("m", "min", "minute", "minutes"): NS_PER_MINUTE,
    ("h", "hour", "hours"): NS_PER_HOUR,
    ("d", "day", "days"): NS_PER_DAY,
    ("w", "week", "weeks"): 7 * NS_PER_DAY,
}
_NS_OF_UNIT = {name: ns for names, ns in _UNITS.items() for name in names}
_PART = re.compile(r"\s*([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*([a-z]+)\s*")


def length_ns(text: str) -> int:
    """Parse a length of time such as `1min`, `24h`, `5d` or `1d12h` into nanoseconds.

    Raises:
        ValueError: the text is no length of time.
    """
    body = text.strip().lower()
    sign = -1 if body.startswith("-") else 1
    body = body.removeprefix("-")
    parts = list(_PART.finditer(body))
    is_whole = "".join(part.group() for part in parts) == body and bool(parts)
    if not is_whole or any(part[2] not in _NS_OF_UNIT for part in parts):
        raise ValueError(f"a length of time must read like 15min, 1h or 5d, was {text!r}")
    return sign * round(sum(float(part[1]) * _NS_OF_UNIT[part[2]] for part in parts))


def known_timezone(name: str) -> str:
    """The name of a time zone, if there is one of that name.

    Raises:
        ValueError: there is none.
    """
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: the name of a folder of zones
        raise ValueError(f"timezone must be one such as UTC, was {name}") from None
    return name


def length_text(ns: int) -> str:
    """A length of time as settings write it, in the largest unit that holds it whole: 1h, 5min.

    Raises:
        TollgateError: it is no whole number of seconds.
    """
    for unit, length in _WRITTEN.items():
        if ns % length == 0:
            return f"{ns // length}{unit}"
    raise TollgateError(f"lengths must be whole seconds, was {ns / NS_PER_SECOND:g} s")
