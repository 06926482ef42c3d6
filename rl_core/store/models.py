"""The model store: immutable versions and pointers that are replaced atomically.

data/models/<desk>/<version>/  policy.safetensors policy.json manifest.json model_card.md ...
data/models/<desk>/shadow.json, champion.json   {"version", "moved_at"}
data/models/<desk>/versions.json                version -> SHA-256 of its manifest
"""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import (
    json_text,
    new_directory,
    read_json,
    sha256_file,
    sha256_text,
    write_json,
    write_json_atomically,
)

Stage = Literal["shadow", "champion"]
STAGES: tuple[Stage, ...] = ("champion", "shadow")
MANIFEST = "manifest.json"
INDEX = "versions.json"
BEFORE = "/before"  # ends the name of a manifest's hash from before a promotion under way


class DataSpan(BaseModel):
    """The bars a model was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_bar: str
    last_bar: str
    bars: int
    market: str = ""  # the symbol, and whether it is simulated
    content: str  # SHA-256


class Promotion(BaseModel):
    """A person's decision that a version be champion, whatever the gate found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    reason: str
    by: str  # account name of whoever gave the command
    promoted_at: str
    unmet: list[str]  # checks that it had not passed


class Ancestor(BaseModel):
    """An artefact that a model was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: str  # SHA-256 of its files
    identity: str  # SHA-256 of its files, inputs, settings and figures


class Manifest(BaseModel):
    """Everything needed to trust a version, or not to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    desk: str
    version: str
    stage: Stage  # at deployment
    created_at: str
    software: dict[str, str]  # package -> version
    files: dict[str, str]  # name -> SHA-256
    data: DataSpan
    lineage: dict[str, Ancestor]  # by link
    metrics: dict[str, Any]
    checks: list[Check]
    config: dict[str, Any]  # the desk as resolved
    intervals: dict[str, Any] = {}  # horizon -> how wide the interval beside a prediction is
    trials: int = 0  # of the desk when the gate judged it
    promotions: list[Promotion] = []  # by hand; the only thing that is ever added


class Version(BaseModel):
    """A verified version on disk."""

    model_config = ConfigDict(frozen=True)

    directory: Path
    manifest: Manifest


class ModelStore:
    """Versions of one desk's model."""

    def __init__(self, root: Path, desk: str) -> None:
        self.desk = desk
        self.directory = root / "models" / desk

    def publish(
        self,
        source: Path,
        files: Mapping[str, str],
        manifest: Manifest,
        documents: Mapping[str, str | bytes],
    ) -> Version:
        """Copy files into a new version with its manifest and documents; no pointer moves.

        Args:
            source: where the files lie.
            files: name -> the SHA-256 that was judged.
            manifest: of the version; the hashes of its files are added here.
            documents: name -> content, the model card among them.

        Raises:
            TollgateError: the version exists, or a copied file is not the one that was judged.
        """
        final = self.directory / manifest.version
        if final.exists():
            raise TollgateError(f"a version is immutable, was there already: {final}")
        with new_directory(final) as directory:
            for name, expected in files.items():
                shutil.copyfile(source / name, directory / name)
                if (actual := sha256_file(directory / name)) != expected:
                    raise TollgateError(
                        f"{source / name} must be the file that was judged, SHA-256 "
                        f"{expected[:12]}, was {actual[:12]}"
                    )
            for name, content in documents.items():
                raw = content.encode() if isinstance(content, str) else content
                (directory / name).write_bytes(raw)
            hashes = {file.name: sha256_file(file) for file in sorted(directory.iterdir())}
            sealed = manifest.model_copy(update={"files": hashes})
            write_json(directory / MANIFEST, sealed.model_dump(mode="json"))
            manifest_hash = sha256_file(directory / MANIFEST)
        write_json_atomically(
            self.directory / INDEX, {**self.index(), manifest.version: manifest_hash}
        )
        return self.version(manifest.version)

    def index(self) -> dict[str, str]:
        """Version -> SHA-256 of its manifest, as it was published."""
        path = self.directory / INDEX
        return read_json(path) if path.is_file() else {}

    def promote(self, name: str, promotion: Promotion) -> Version:
        """Write a promotion into a version's manifest, for good, and make it champion.

        Both hashes of the manifest are in the index while it is replaced, so that a crash leaves a
        version that can be read.

        Raises:
            TollgateError: the version is missing or was changed.
        """
        version = self.version(name)
        manifest = version.manifest.model_copy(
            update={"promotions": [*version.manifest.promotions, promotion]}
        )
        path = version.directory / MANIFEST
        value = manifest.model_dump(mode="json")
        index = {k: v for k, v in self.index().items() if k != name + BEFORE}
        now = index | {name: sha256_text(json_text(value)), name + BEFORE: sha256_file(path)}
        write_json_atomically(self.directory / INDEX, now)
        write_json_atomically(path, value)
        now.pop(name + BEFORE)
        write_json_atomically(self.directory / INDEX, now)
        self.point("champion", name)
        return self.version(name)

    def point(self, stage: Stage, version: str) -> None:
        """Make a verified version the one that a stage serves."""
        self.version(version)
        pointer = {"version": version, "moved_at": datetime.now(UTC).isoformat(timespec="seconds")}
        write_json_atomically(self.directory / f"{stage}.json", pointer)

    def version(self, name: str) -> Version:
        """A version, after its manifest's hashes were verified.

        Raises:
            TollgateError: it is missing, half-written or was changed.
        """
        directory = self.directory / name
        if not directory.is_dir():
            known = ", ".join(self.versions()) or "none"
            raise TollgateError(f"version must be one of desk {self.desk}'s ({known}), was {name}")
        path = directory / MANIFEST
        manifest = validated(Manifest, read_json(path), str(path))
        actual = sha256_file(directory / MANIFEST)
        index = self.index()
        if actual not in (index.get(name), index.get(name + BEFORE)) or (
            manifest.desk, manifest.version,
        ) != (self.desk, name):  # fmt: skip
            raise TollgateError(
                f"{directory / MANIFEST} must be as it was deployed, was changed since "
                f"(SHA-256 now {actual[:12]})"
            )
        for file, expected in manifest.files.items():
            path = directory / file
            actual = sha256_file(path) if path.is_file() else "missing"
            if actual != expected:
                raise TollgateError(
                    f"{path} must have the SHA-256 {expected[:12]} of its manifest, "
                    f"was {actual[:12]}"
                )
        return Version(directory=directory, manifest=manifest)

    def served(self, stage: str) -> Version:
        """The version that a stage's pointer names, verified.

        Raises:
            TollgateError: no pointer, or what it points to is not what it was.
        """
        path = self.directory / f"{stage}.json"
        if not path.is_file():
            raise TollgateError(
                f"desk {self.desk} must have a {stage} model, was none ({path}): "
                "run its chain first"
            )
        pointer = read_json(path)
        if not isinstance(pointer, dict) or "version" not in pointer:
            raise TollgateError(f"{path} must name a version, was {pointer}")
        return self.version(str(pointer["version"]))

    def current_stage(self) -> str:
        """`champion` if there is one, else `shadow`."""
        return next(
            (stage for stage in STAGES if (self.directory / f"{stage}.json").is_file()), "shadow"
        )

    def pointers(self) -> dict[str, str]:
        """Stage -> version, for the pointers that exist."""
        found = {stage: self.directory / f"{stage}.json" for stage in STAGES}
        return {
            stage: str(read_json(path)["version"])
            for stage, path in found.items()
            if path.is_file()
        }

    def trials(self) -> dict[str, int]:
        """Version -> how many trials the desk had made when the gate judged it."""
        manifests = {name: self.directory / name / MANIFEST for name in self.versions()}
        return {
            name: int(read_json(path).get("trials", 0))
            for name, path in manifests.items()
            if path.is_file()
        }

    def versions(self) -> list[str]:
        """Names of all versions, oldest first."""
        if not self.directory.is_dir():
            return []
        return sorted(
            p.name for p in self.directory.iterdir() if p.is_dir() and not p.name.startswith(".")
        )
