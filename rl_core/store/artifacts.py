"""The lake: the artefacts of one desk, by step and identity.

    data/lake/<desk>/<step>/<identity>/   the step's files, seal.json
                            <identity>.verdicts.json   what its checks found
                            current.json   the identity that the desk's chain stands on

An artefact never changes. Building a step again adds one and moves the pointer, so that nothing
that a model was made from is lost, and a reader never finds a gap. A seal names the identity of
each input, which covers the input's files, settings, code and figures, so that nothing upstream can
be changed unnoticed.
"""

import fnmatch
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from rl_core.base.code import code_fingerprint
from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import exclusive_lock, sha256_json
from rl_core.store.documents import read_document, write_document
from rl_core.store.frames import read_frames
from rl_core.store.migrations import SCHEMA, migrate_seal
from rl_core.store.sealed import (
    SealedFolder,
    draft_folder,
    hash_files,
    open_sealed,
    remove_leftovers,
    seal,
)

if TYPE_CHECKING:
    import pandas as pd

FREE = ("created_at", "timings")  # what differs from run to run
SEAL, CURRENT, VERDICTS = "seal.json", "current.json", ".verdicts.json"
NAME_LENGTH = 16  # of an identity, as a folder's name
EARLIER_SEAL = "artifact.json"  # of schema 1


class Artifact(BaseModel):
    """The document that seals an artefact."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_number: int
    desk: str
    name: str  # of the step
    created_at: str
    files: dict[str, str]  # name -> SHA-256
    inputs: dict[str, str]  # name of each input -> its identity
    settings: dict[str, Any]  # the slice that the step read
    overrides: dict[str, Any]  # settings that a command line replaced, dotted -> value
    code: str  # fingerprint of the sources that made it
    facts: dict[str, Any]  # figures for people
    timings: dict[str, float]  # figures that differ from run to run

    @property
    def content(self) -> str:
        """SHA-256 over the files: the data version."""
        return sha256_json(self.files)


def identity_of(body: Mapping[str, Any]) -> str:
    """SHA-256 over all that makes it what it is: files, inputs, settings, code and figures.

    It is that of the seal as it was written, whatever its schema.
    """
    return sha256_json({name: body[name] for name in body if name not in FREE})


def _artifact(folder: SealedFolder) -> Artifact:
    where = str(folder.path / SEAL)
    return validated(Artifact, migrate_seal(dict(folder.body), where), where)


@dataclass(frozen=True)
class SealedArtifact:
    """An artefact of one identity; its files are verified as they are read."""

    seal: Artifact
    identity: str
    folder: SealedFolder

    @property
    def content(self) -> str:
        """SHA-256 over the files: the data version."""
        return self.seal.content

    @property
    def path(self) -> Path:
        """The folder that the artefact lies in."""
        return self.folder.path

    def read(self, name: str) -> bytes:
        """A file's bytes, hashed as read."""
        return self.folder.read(name)

    def read_json(self, name: str) -> Any:
        """The value of a JSON file, hashed as read."""
        return self.folder.read_json(name)

    def read_frame(self, name: str, columns: Sequence[str] | None = None) -> "pd.DataFrame":
        """The table of a Parquet file, or of all that a pattern names, in order; hashed as read.

        Args:
            name: of the file, or a pattern.
            columns: those that are wanted; all when left out.

        Raises:
            TollgateError: a file was changed, or none is of that name.
        """
        return read_frames((self.read(part) for part in self.parts(name)), columns)

    def parts(self, pattern: str) -> list[str]:
        """Names of the files that a pattern names, in order.

        Raises:
            TollgateError: there is none.
        """
        found = sorted(fnmatch.filter(self.folder.files, pattern))
        if not found:
            raise TollgateError(f"{self.path} must hold {pattern}, was sealed without")
        return found

    def has(self, name: str) -> bool:
        """True if a file of that name was sealed."""
        return name in self.folder.files


@dataclass
class Draft:
    """An artefact that is being made."""

    directory: Path
    inputs: Mapping[str, str]
    settings: dict[str, Any]
    overrides: dict[str, Any]
    facts: dict[str, Any]
    timings: dict[str, float]


class ArtifactStore:
    """The artefacts of one desk, by step and identity."""

    def __init__(self, root: Path, desk: str) -> None:
        self.desk = desk
        self.directory = root / "lake" / desk

    def has(self, step: str) -> bool:
        """True if the desk's chain has an artefact of that step."""
        return (self.directory / step / CURRENT).is_file()

    def current(self, step: str) -> str:
        """Identity of the artefact that the chain stands on.

        Raises:
            TollgateError: the step was never built, or the pointer is broken.
        """
        folder = self.directory / step
        if not (folder / CURRENT).exists():
            earlier = (folder / EARLIER_SEAL).exists()
            how = "was built by an earlier version, in another layout" if earlier else "was not"
            raise TollgateError(f"{step} of desk {self.desk} must be built first, {how} ({folder})")
        body = read_document(folder / CURRENT)
        return str(body["identity"])

    def open(self, step: str, identity: str | None = None) -> SealedArtifact:
        """The artefact of an identity, or the current one; its seal is verified.

        Raises:
            TollgateError: there is none, or its seal was changed.
        """
        wanted = identity or self.current(step)
        path = self._path(step, wanted)
        if not path.is_dir():
            raise TollgateError(
                f"{step} of desk {self.desk} must still have its artefact {wanted[:12]}, was gone "
                f"({path}): build {step} again"
            )
        folder = open_sealed(path, SEAL)
        found = _artifact(folder)
        identity = identity_of(folder.body)
        if (identity, found.desk, found.name) != (wanted, self.desk, step):
            raise TollgateError(
                f"{path} must be {step} {wanted[:12]} of desk {self.desk}, was {found.name} "
                f"{identity[:12]} of {found.desk}: delete it and build {step} again"
            )
        return SealedArtifact(found, wanted, folder)

    @contextmanager
    def draft(self, step: str, *, wait: bool = False) -> Generator[Draft]:
        """Make an artefact in the block, one process at a time; `keep` seals it.

        Args:
            step: whose artefact.
            wait: for another process that is building this step.

        Raises:
            TollgateError: another process is building this step.
        """
        folder = self.directory / step
        lock = self.directory / f".{step}.lock"
        with exclusive_lock(lock, f"building {step} of desk {self.desk}", wait=wait):
            remove_leftovers(folder)
            with draft_folder(folder) as directory:
                yield Draft(directory, {}, {}, {}, {}, {})

    def keep(self, step: str, draft: Draft) -> SealedArtifact:
        """Seal a draft under its identity; the pointer does not move yet.

        What was made before, to the last bit, is kept as it is.
        """
        artifact = Artifact(
            schema_number=SCHEMA,
            desk=self.desk,
            name=step,
            created_at=datetime.now(UTC).isoformat(timespec="microseconds"),
            files=hash_files(draft.directory),
            inputs=dict(draft.inputs),
            settings=draft.settings,
            overrides=draft.overrides,
            code=code_fingerprint(),
            facts=draft.facts,
            timings=draft.timings,
        )
        body = artifact.model_dump()
        identity = identity_of(body)
        final = self._path(step, identity)
        if final.exists():
            self.open(step, identity).folder.verify()
        else:
            seal(draft.directory, final, SEAL, body)
        return self.open(step, identity)

    def point(self, artifact: SealedArtifact) -> None:
        """Let the chain stand on an artefact."""
        write_document(
            self.directory / artifact.seal.name / CURRENT,
            {
                "identity": artifact.identity,
                "moved_at": datetime.now(UTC).isoformat(timespec="seconds"),
            },
        )

    def identities(self, step: str) -> list[str]:
        """Identities of every artefact of a step, oldest first; unreadable ones are left out."""
        found: list[tuple[str, str]] = []
        for path in sorted((self.directory / step).glob(f"[0-9a-f]*/{SEAL}")):
            try:
                folder = open_sealed(path.parent, SEAL)
                artifact = _artifact(folder)
            except TollgateError:
                continue
            found.append((artifact.created_at, identity_of(folder.body)))
        return [identity for _, identity in sorted(found)]

    def lineage(self, artifact: SealedArtifact) -> dict[str, SealedArtifact]:
        """An artefact and all that it was made from, by step, every file verified.

        Raises:
            TollgateError: a file or a seal was changed or is gone, or two inputs were made from
                different artefacts of one step.
        """
        found: dict[str, SealedArtifact] = {}
        waiting = [artifact]
        while waiting:
            each = waiting.pop()
            name = each.seal.name
            if name in found:
                if found[name].identity != each.identity:
                    raise TollgateError(
                        f"{artifact.seal.name} of desk {self.desk} must be made from one {name}, "
                        f"was made from {found[name].identity[:12]} and {each.identity[:12]}: "
                        "build what lies between again"
                    )
                continue
            each.folder.verify()
            found[name] = each
            waiting += [self.open(step, identity) for step, identity in each.seal.inputs.items()]
        return dict(sorted(found.items()))

    def verdicts_path(self, artifact: SealedArtifact) -> Path:
        """Where the verdicts of an artefact's checks are sealed."""
        return artifact.path.with_name(artifact.path.name + VERDICTS)

    def _path(self, step: str, identity: str) -> Path:
        return self.directory / step / identity[:NAME_LENGTH]
