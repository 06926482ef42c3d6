"""A link of the chain, declared once.

Dagster's assets, their dependencies and checks, `tollgate build`, the runner, staleness, lineage
and the table in docs/chain.md derive from these declarations. A new link is one `Step`, entered in
`rl_core/steps/chain.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from rl_core.base.checks import Check, CheckSpec

if TYPE_CHECKING:
    from rl_core.steps.context import DeskContext, Task


class Facts(BaseModel):
    """What a seal says of its artefact, in figures."""

    model_config = ConfigDict(frozen=True, extra="forbid")


F_co = TypeVar("F_co", bound=Facts, covariant=True)


@dataclass(frozen=True, eq=False)
class Step(Generic[F_co]):
    """A link of the chain, with all that is derived from it."""

    name: str
    about: str  # for the UI: what it holds, then what to know of it
    facts: type[F_co]
    build: Callable[[Task], F_co]  # fills the task's directory
    needs: Sequence[Step[Any]] = ()  # inputs, Dagster's dependencies, lineage
    follows: Sequence[Step[Any]] = ()  # what it brings up to date itself when it is built
    moves: bool = False  # by itself, beside the chain: who comes second waits
    reads: Sequence[str] = ()  # sections of the desk that make it stale; nothing else does
    ignores: Sequence[str] = ()  # dotted settings in those sections that do not
    checks: Sequence[CheckSpec] = ()
    judge: Callable[[DeskContext, Any], list[Check]] = lambda _context, _opened: []
    judge_now: Callable[[DeskContext, Any], list[Check]] = lambda _context, _opened: []
    # ^ what depends on the time of asking too, and is not sealed
    judged_by: Sequence[str] = ()  # sections that the verdicts depend on besides the artefact
    before_use: Callable[[DeskContext, Any], None] = lambda _context, _opened: None
    runs: Literal["here", "child"] = "here"  # in the run's own process, or as a command of its own
    command: str | None = None  # in a shell; `build <name>` when left out
    takes_processes: bool = False  # may be started in several, as torchrun does
    kept_in: Literal["lake", "models"] = "lake"
    is_in_chain: bool = True  # False: no link waits for it, and the weekly job leaves it out
    table: str | None = None  # file whose columns and rows the UI shows
    technologies: Sequence[str] = ()  # icons in the UI

    @property
    def shell(self) -> str:
        """The command with which a person runs it."""
        return f"tollgate {self.command or f'build {self.name}'}"

    @property
    def ancestors(self) -> tuple[Step[Any], ...]:
        """Every step that it is made from, in the order of the chain."""
        found: dict[str, Step[Any]] = {}
        for need in self.needs:
            found |= {step.name: step for step in (*need.ancestors, need)}
        return tuple(found.values())

    def verdict(self, name: str, passed: bool, detail: str, **figures: float | int | None) -> Check:
        """The outcome of one of its checks."""
        spec = next(spec for spec in self.checks if spec.name == name)
        return spec.verdict(passed, detail, **figures)
