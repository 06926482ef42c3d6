"""The outcome of one check, the same for datasets and for the gate."""

from collections.abc import Mapping

from pydantic import BaseModel, ConfigDict


class Check(BaseModel):
    """What was checked, whether it held, and the figures behind the verdict."""

    model_config = ConfigDict(frozen=True)

    name: str
    passed: bool
    is_blocking: bool
    detail: str  # the verdict in words, with figure and threshold
    figures: Mapping[str, float | int | None] = {}
