"""The lake: one directory per link of the chain, sealed with hashes and with what it was made from.

    data/lake/<desk>/<name>/   the link's files
                   artifact.json   their SHA-256, the content hash, the inputs' identities

Reading verifies. A directory that was changed after it was sealed is neither read nor replaced:
it is evidence, and only a person removes it. A seal names the identity of each input, which covers
the input's files, settings and figures, so that nothing upstream can be changed unnoticed.
"""

import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import (
    exclusive_lock,
    new_directory,
    read_json,
    sha256_file,
    sha256_json,
    write_json,
)

SEAL = "artifact.json"


class Artifact(BaseModel):
    """A sealed link of the chain."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    desk: str
    name: str
    created_at: str
    files: dict[str, str]  # name -> SHA-256
    content: str  # SHA-256 over the files: the data version
    inputs: dict[str, str]  # name of the input -> its identity
    config: dict[str, Any]  # the desk's settings when it was built
    metadata: dict[str, Any]  # figures for people
    timings: dict[str, float]  # figures that differ from run to run

    @property
    def identity(self) -> str:
        """SHA-256 over all that makes it what it is: files, inputs, settings and figures."""
        return sha256_json(self.model_dump(exclude={"created_at", "timings"}))


class Lake:
    """The artefacts of one desk."""

    def __init__(self, root: Path, desk: str) -> None:
        self.desk = desk
        self.directory = root / "lake" / desk

    def path(self, name: str, file: str) -> Path:
        """Where a file of an artefact lies; it is not looked at."""
        return self.directory / name / file

    def has(self, name: str) -> bool:
        """Was an artefact of that name ever sealed here?"""
        return self.path(name, SEAL).is_file()

    def seal(self, name: str) -> Artifact:
        """The seal alone, without verifying the files behind it.

        Raises:
            TollgateError: the artefact was never built, or its seal is broken.
        """
        path = self.path(name, SEAL)
        if not path.parent.is_dir():
            raise TollgateError(
                f"{name} of desk {self.desk} must be built first, was not ({path.parent})"
            )
        return validated(Artifact, read_json(path), str(path))

    def load(self, name: str) -> Artifact:
        """The seal, after every file behind it was verified.

        Raises:
            TollgateError: a file is missing, was added or was changed.
        """
        artifact, folder = self.seal(name), self.directory / name
        found = {path.name: sha256_file(path) for path in folder.iterdir() if path.name != SEAL}
        changed = sorted(
            file
            for file in {**artifact.files, **found}
            if artifact.files.get(file) != found.get(file)
        )
        if changed or artifact.content != sha256_json(artifact.files):
            raise TollgateError(
                f"{folder} must be as it was sealed, was changed since "
                f"({', '.join(changed) or SEAL}): delete {folder} and build it again"
            )
        return artifact

    @contextmanager
    def build(
        self,
        name: str,
        inputs: Mapping[str, Artifact],
        config: Mapping[str, Any],
        metadata: dict[str, Any],
        timings: dict[str, float] | None = None,
    ) -> Generator[Path]:
        """Fill a new directory; seal it and swap it in when the block ends without error.

        Args:
            name: of the artefact.
            inputs: artefacts it is made from.
            config: the desk's settings.
            metadata: may be filled inside the block.
            timings: likewise; figures that are not part of the identity.
        """
        final = self.directory / name
        purpose = f"building {name} of desk {self.desk}"
        with exclusive_lock(self.directory / f".{name}.lock", purpose):
            if final.exists():
                self.load(name)  # refuses to bury evidence
            self._remove_leftovers(name)
            with new_directory(final) as directory:
                yield directory
                files = {file.name: sha256_file(file) for file in sorted(directory.iterdir())}
                artifact = Artifact(
                    desk=self.desk,
                    name=name,
                    created_at=datetime.now(UTC).isoformat(timespec="seconds"),
                    files=files,
                    content=sha256_json(files),
                    inputs={input_name: each.identity for input_name, each in inputs.items()},
                    config=dict(config),
                    metadata=metadata,
                    timings=timings or {},
                )
                write_json(directory / SEAL, artifact.model_dump())

    def _remove_leftovers(self, name: str) -> None:
        """What a killed build left behind; the lock says that none is under way."""
        for leftover in self.directory.glob(f".{name}.*"):
            if leftover.is_dir():
                shutil.rmtree(leftover)

    def lineage(self, name: str) -> dict[str, Artifact]:
        """An artefact and all it was made from, each verified once.

        Raises:
            TollgateError: a file or a seal was changed, or an input was built again since.
        """
        artifacts: dict[str, Artifact] = {}
        waiting = [name]
        while waiting:
            current = waiting.pop()
            if current not in artifacts:
                artifacts[current] = self.load(current)
                waiting += artifacts[current].inputs
        for artifact in artifacts.values():
            for input_name, expected in artifact.inputs.items():
                if artifacts[input_name].identity != expected:
                    raise TollgateError(
                        f"{artifact.name} of desk {self.desk} must be made from the {input_name} "
                        f"that is there, was made from {expected[:12]} and now there is "
                        f"{artifacts[input_name].identity[:12]}: build {artifact.name} again"
                    )
        return dict(sorted(artifacts.items()))
