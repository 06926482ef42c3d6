"""Logging: one handler, for people or for machines, on standard error.

The library logs through `logging.getLogger(__name__)` and configures nothing. A command calls
`configure` once. People get plain lines; with TOLLGATE_LOG=json machines get one JSON object a
line, with time, level and logger.
"""

import json
import logging
import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime

from rl_core.base.errors import TollgateError

ROOT = "rl_core"
FORMATS = ("text", "json")
VARIABLE = "TOLLGATE_LOG"


class PeopleFormatter(logging.Formatter):
    """The message alone; a warning says that it is one."""

    def format(self, record: logging.LogRecord) -> str:
        """The record as one line of text."""
        message = super().format(record)
        if record.levelno < logging.WARNING:
            return message
        prefix, colon, rest = message.partition(": ")
        level = record.levelname.lower()
        return (
            f"{prefix}: {level}: {rest}" if colon and " " not in prefix else f"{level}: {message}"
        )


class JsonFormatter(logging.Formatter):
    """Writes each log record as one JSON object on a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Time in UTC, level, logger, message, and the exception if there is one."""
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def configure(handler: logging.Handler | None = None) -> None:
    """Let the library's log go to standard error or to a handler; the last call counts.

    Raises:
        TollgateError: TOLLGATE_LOG names no format.
    """
    chosen_format = os.environ.get(VARIABLE, "text")
    if chosen_format not in FORMATS:
        raise TollgateError(f"{VARIABLE} must be one of {', '.join(FORMATS)}, was {chosen_format}")
    is_json = chosen_format == "json"
    chosen = handler or logging.StreamHandler(sys.stderr)
    if chosen.formatter is None:
        chosen.setFormatter(JsonFormatter() if is_json else PeopleFormatter())
    logger = logging.getLogger(ROOT)
    logger.handlers = [chosen]
    logger.setLevel(logging.INFO)
    logger.propagate = False


def is_a_person_reading() -> bool:
    """True if standard error is a terminal that shows lines for people: bars make sense there."""
    is_plain = os.environ.get(VARIABLE, "text") != "json"
    handlers = logging.getLogger(ROOT).handlers
    return is_plain and bool(handlers) and sys.stderr.isatty()


@contextmanager
def warnings_only() -> Generator[None]:
    """Let nothing below a warning through, for work that is part of something larger."""
    logger = logging.getLogger(ROOT)
    before = logger.level
    logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        logger.setLevel(before)
