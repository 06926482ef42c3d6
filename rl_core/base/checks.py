"""The outcome of one check, the same for datasets and for the gate."""

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict


class Check(BaseModel):
    """What was checked, whether it held, and the figures behind the verdict."""

    model_config = ConfigDict(frozen=True)

    name: str
    passed: bool
    is_blocking: bool
    detail: str  # the verdict in words, with figure and threshold
    figures: Mapping[str, float | int | None] = {}
    is_undecided: bool = False  # not passed, for want of evidence and not for what was found

    @property
    def verdict(self) -> str:
        """The outcome in words: pass, FAIL, or not enough evidence."""
        return "pass" if self.passed else "not enough evidence" if self.is_undecided else "FAIL"


@dataclass(frozen=True)
class CheckSpec:
    """A check as it is declared, beside the code that computes it."""

    name: str
    blocks: bool  # a failure stops what is built on the step
    guards: str  # what it protects from, and what to do when it fails

    def verdict(self, passed: bool, detail: str, **figures: float | int | None) -> Check:
        """What was found, in words, with figure and threshold."""
        return Check(
            name=self.name,
            passed=bool(passed),
            is_blocking=self.blocks,
            detail=detail,
            figures=figures,
        )


def blocking(name: str, passed: bool, detail: str, **figures: float | int | None) -> Check:
    """A check whose failure stops what comes next."""
    return Check(name=name, passed=bool(passed), is_blocking=True, detail=detail, figures=figures)


def undecided(name: str, detail: str) -> Check:
    """A check that had too little to go by; it stops what comes next too."""
    return Check(name=name, passed=False, is_blocking=True, detail=detail, is_undecided=True)
