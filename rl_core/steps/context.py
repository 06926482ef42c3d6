"""A desk at work: its settings, and what of it is kept."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic

from rl_core.base.errors import TollgateError, validated
from rl_core.base.paths import data_root
from rl_core.base.settings import first_differing_section, slice_settings
from rl_core.desk import DeskConfig, load_desk
from rl_core.steps.step import F_co, Step
from rl_core.store.artifacts import Artifact, ArtifactStore, SealedArtifact
from rl_core.store.models import ModelStore
from rl_core.store.trials import TrialLedger

if TYPE_CHECKING:
    import pandas as pd

    from rl_core.kinds.base import DeskKind
    from rl_core.steps.options import BuildOptions


@dataclass(frozen=True)
class Opened(Generic[F_co]):
    """An artefact of one identity, with its figures typed."""

    artifact: SealedArtifact
    facts: F_co

    @property
    def seal(self) -> Artifact:
        """What the seal says of the artefact."""
        return self.artifact.seal

    @property
    def identity(self) -> str:
        """SHA-256 over all that makes it what it is."""
        return self.artifact.identity

    @property
    def content(self) -> str:
        """SHA-256 over its files: the data version."""
        return self.artifact.content

    @property
    def path(self) -> Path:
        """The folder that the artefact lies in."""
        return self.artifact.path

    @property
    def schema_number(self) -> int:
        """Schema under which it was written."""
        return self.artifact.folder.schema_number

    def read(self, name: str) -> bytes:
        """A file's bytes, hashed as read."""
        return self.artifact.read(name)

    def read_json(self, name: str) -> Any:
        """The value of a JSON file, hashed as read."""
        return self.artifact.read_json(name)

    def read_frame(self, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """The table of a Parquet file, or of all that a pattern names; hashed as read.

        All of its columns, unless some are named.
        """
        return self.artifact.read_frame(name, columns)


@dataclass(frozen=True)
class DeskContext:
    """Where one desk's chain reads and writes.

    Attributes:
        desk: the settings, with what a command line replaced.
        root: the data folder.
        base: the settings without that: what is sealed is compared with these.
        overrides: dotted setting -> value that a command line replaced; None was cleared.
    """

    desk: DeskConfig
    root: Path
    base: DeskConfig
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def open(cls, desk: str | DeskConfig, root: Path | None = None) -> DeskContext:
        """The context of a desk by name or settings; in the data folder unless told otherwise."""
        config = load_desk(desk) if isinstance(desk, str) else desk
        return cls(config, root or data_root(), config)

    def with_overrides(
        self, settings: Mapping[str, Any], cleared: Sequence[str] = ()
    ) -> DeskContext:
        """The same desk with some settings replaced, dotted path -> value; None is left out.

        Raises:
            TollgateError: the settings that result are wrong.
        """
        given = {name: value for name, value in settings.items() if value is not None}
        return replace(
            self,
            desk=self.desk.with_settings(given, cleared),
            overrides={**self.overrides, **dict.fromkeys(cleared), **given},
        )

    @cached_property
    def kind(self) -> DeskKind:
        """The `DeskKind` that the desk is of."""
        from rl_core.kinds.registry import kind_of  # numba and pandas: not every command needs them

        return kind_of(self.desk)

    @cached_property
    def artifacts(self) -> ArtifactStore:
        """The store of the desk's artefacts, its lake."""
        return ArtifactStore(self.root, self.desk.name)

    @cached_property
    def models(self) -> ModelStore:
        """The store of the desk's deployed versions."""
        return ModelStore(self.root, self.desk.name)

    @cached_property
    def trials(self) -> TrialLedger:
        """What was ever trained for the desk."""
        return TrialLedger(self.root, self.desk.name)

    def open_artifact(self, step: Step[F_co], identity: str | None = None) -> Opened[F_co]:
        """The artefact of a step: the current one, or that of an identity.

        Raises:
            TollgateError: it was never built, or was changed.
        """
        sealed = self.artifacts.open(step.name, identity)
        where = f"seal of {step.name} {sealed.identity[:12]}"
        return Opened(sealed, validated(step.facts, sealed.seal.facts, where))

    def input_of(self, opened: Opened[Any], step: Step[F_co]) -> Opened[F_co]:
        """The very artefact of a step that another one was made from.

        Raises:
            TollgateError: it was made from none, or that is gone or was changed.
        """
        inputs = opened.seal.inputs
        if step.name not in inputs:
            raise TollgateError(f"{opened.seal.name} must be made from {step.name}, was without")
        return self.open_artifact(step, inputs[step.name])

    def slice_of(self, step: Step[Any]) -> dict[str, Any]:
        """The settings that a step reads."""
        return slice_settings(self.desk.resolved(), step.reads, step.ignores)

    def inputs_of(self, step: Step[Any]) -> dict[str, Opened[Any]]:
        """What a step is to be made from: current, of the desk's settings, and of one chain.

        Raises:
            TollgateError: an input is missing, of other settings, or made from something that was
                built again since.
        """
        for ancestor in step.ancestors:
            self.require_fresh(ancestor)
        return {need.name: self.open_artifact(need) for need in step.needs}

    def require_fresh(self, step: Step[Any]) -> None:
        """Refuse an artefact that is not what the desk would build now.

        Settings that a command line replaced when it was built are no difference, and neither are
        those that this command replaces: they are meant for what it builds.

        Raises:
            TollgateError: names the first setting that differs, or the input that was built again.
        """
        artifact = self.artifacts.open(step.name).seal
        # what the step no longer reads, or ignores since, makes nothing stale
        sealed = slice_settings(artifact.settings, step.reads, step.ignores)
        if difference := first_differing_section(sealed, self._expected(step, artifact)):
            raise TollgateError(
                f"{step.name} of desk {self.desk.name} must be built with the desk's settings, "
                f"was built with other {difference}: build {step.name} again"
            )
        for need in step.needs:
            then, now = artifact.inputs.get(need.name), self.artifacts.current(need.name)
            if then != now:
                raise TollgateError(
                    f"{step.name} of desk {self.desk.name} must be made from the {need.name} that "
                    f"is there, was made from {(then or 'none')[:12]} and now there is "
                    f"{now[:12]}: build {step.name} again"
                )

    def _expected(self, step: Step[Any], artifact: Artifact) -> dict[str, Any]:
        """The step's slice of the desk as it is now, with what was replaced when it was built."""
        replaced = {n: v for n, v in artifact.overrides.items() if v is not None}
        cleared = [name for name, value in artifact.overrides.items() if value is None]
        try:
            desk = self.base.with_settings(replaced, cleared)
        except TollgateError:  # the desk has changed so much that they no longer fit together
            desk = self.base
        return slice_settings(desk.resolved(), step.reads, step.ignores)


@dataclass(frozen=True)
class Task:
    """One artefact that a step is asked to build."""

    context: DeskContext
    step: Step[Any]
    inputs: Mapping[str, Opened[Any]]
    directory: Path  # to be filled
    options: BuildOptions
    timings: dict[str, float]  # may be filled: figures that are no part of the identity
    afterwards: list[Callable[[], None]] = field(
        default_factory=list
    )  # once the chain stands on it

    def input(self, step: Step[F_co]) -> Opened[F_co]:
        """The artefact of a step that the task is to be built from."""
        return self.inputs[step.name]
