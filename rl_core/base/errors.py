"""The one error a user can cause, and the interruption that a user asked for."""

from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

Model = TypeVar("Model", bound=BaseModel)


class TollgateError(ValueError):
    """States what must hold, what was, and where; a command prints it as one line and exits 2."""


class Interrupted(Exception):  # noqa: N818 - it is not an error
    """A training ended early because it was asked to, and was saved.

    Args:
        signum: the signal that asked.
        message: for people.
    """

    def __init__(self, signum: int, message: str) -> None:
        super().__init__(message)
        self.signum = signum


def validated(model: type[Model], value: Any, where: str) -> Model:
    """A value as a pydantic model.

    Raises:
        TollgateError: the first thing that is wrong with it, in one line.
    """
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors()[0]
        setting = ".".join(str(part) for part in first["loc"]) or "the whole"
        must = "must be a known setting" if first["type"] == "extra_forbidden" else first["msg"]
        must = must.removeprefix("Value error, ")
        more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
        was = "" if first["type"] in {"missing", "value_error"} else f", was {first['input']!r}"
        raise TollgateError(f"{where}: {setting}: {must}{was}{more}") from None
