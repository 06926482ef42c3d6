"""A curriculum: a setting that begins easy and becomes what it truly is.

It is driven by the trainer's own progress (`Environment.at`), so a resumed training finds it where
it was. Evaluation never sees a ramp: it uses the setting itself.
"""

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat


class Ramp(BaseModel):
    """A straight line from `start` to the setting's own value."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    start: FiniteFloat = Field(ge=0, description="value when training begins")
    until: float = Field(
        default=0.5, gt=0, le=1, description="share of the training at which it has arrived"
    )

    def value(self, progress: float, end: float) -> float:
        """Where the line is at a progress in [0, 1]; `end` from `until` on."""
        share = min(max(progress / self.until, 0.0), 1.0)
        return self.start + (end - self.start) * share


def ramped(ramp: Ramp | None, progress: float, end: float) -> float:
    """The ramp's value, or the setting itself where it has none."""
    return end if ramp is None else ramp.value(progress, end)
