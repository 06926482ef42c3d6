"""The lake: one directory per link of the chain, sealed with hashes and with what it was made from.

    data/lake/<desk>/<name>/   the link's files
                   artifact.json   their SHA-256, the content hash, the inputs' content hashes

Reading verifies. A directory that was changed after it was sealed is neither read nor replaced:
it is evidence, and only a person removes it.
"""

import shutil
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from rl_core.errors import TollgateError
from rl_core.runtime.files import (
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
    inputs: dict[str, str]  # name of the input -> its content
    config: dict[str, Any]  # the desk as it was resolved
    metadata: dict[str, Any]  # figures for people


class Lake:
    """The artefacts of one desk."""

    def __init__(self, root: Path, desk: str) -> None:
        self.desk = desk
        self.directory = root / "lake" / desk

    def path(self, name: str, file: str) -> Path:
        """Where a file of an artefact lies; it is not looked at."""
        return self.directory / name / file

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
        try:
            return Artifact.model_validate(read_json(path))
        except ValidationError as error:
            reason = error.errors()[0]
            raise TollgateError(
                f"{path} must be a seal, was not: {reason['loc']} {reason['msg']}"
            ) from None

    def load(self, name: str) -> Artifact:
        """The seal, after every file behind it was verified.

        Raises:
            TollgateError: a file is missing or was changed.
        """
        artifact = self.seal(name)
        for file, expected in artifact.files.items():
            path = self.path(name, file)
            actual = sha256_file(path) if path.is_file() else "missing"
            if actual != expected:
                raise TollgateError(
                    f"{path} must be as it was sealed, was changed since (SHA-256 {expected[:12]}, "
                    f"now {actual[:12]}): delete {path.parent} and build it again"
                )
        return artifact

    @contextmanager
    def build(
        self,
        name: str,
        inputs: Mapping[str, Artifact],
        config: Mapping[str, Any],
        metadata: dict[str, Any],
    ) -> Generator[Path]:
        """Fill a new directory; seal it and swap it in when the block ends without error.

        Args:
            name: of the artefact.
            inputs: artefacts it is made from.
            config: the desk as resolved.
            metadata: may be filled inside the block.
        """
        final = self.directory / name
        with exclusive_lock(
            self.directory / f".{name}.lock", f"building {name} of desk {self.desk}"
        ):
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
                    inputs={input_name: each.content for input_name, each in inputs.items()},
                    config=dict(config),
                    metadata=metadata,
                )
                write_json(directory / SEAL, artifact.model_dump())

    def _remove_leftovers(self, name: str) -> None:
        """What a killed build left behind; the lock says that none is under way."""
        for leftover in self.directory.glob(f".{name}.*"):
            if leftover.is_dir():
                shutil.rmtree(leftover)

    def lineage(self, name: str) -> dict[str, str]:
        """Content of an artefact and of all it was made from, each verified against its files once.

        Raises:
            TollgateError: a file was changed, or an input was built again since.
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
                if artifacts[input_name].content != expected:
                    raise TollgateError(
                        f"{artifact.name} of desk {self.desk} must be made from the {input_name} "
                        f"that is there, was made from {expected[:12]} and now there is "
                        f"{artifacts[input_name].content[:12]}: build {artifact.name} again"
                    )
        return {each: artifact.content for each, artifact in sorted(artifacts.items())}
