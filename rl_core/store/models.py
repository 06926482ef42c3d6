"""The model store: immutable versions, and pointers that are replaced atomically.

    data/models/<desk>/<version>/   policy.safetensors policy.json manifest.json model_card.md ...
                                    promotion_<n>.json   a person's decision, if there was one
    data/models/<desk>/shadow.json, champion.json        the versions that are served

A version is a sealed folder, so each one vouches for itself: no index can be lost. Versions of
schema 1 are vouched for by `versions.json`, which is read and never written.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import exclusive_lock, parse_json, read_json, sha256_bytes
from rl_core.store.documents import HASH, parse_document, read_document, write_document
from rl_core.store.migrations import SCHEMA, migrate_manifest
from rl_core.store.sealed import SealedFolder, draft_folder, open_sealed, remove_leftovers, seal

Stage = Literal["shadow", "champion"]
STAGES: tuple[Stage, ...] = ("champion", "shadow")
MANIFEST = "manifest.json"
EARLIER_INDEX = "versions.json"  # of schema 1: version -> SHA-256 of its manifest
EARLIER_BEFORE = "/before"  # ended the name of a hash from before a promotion under way
PROMOTION = "promotion_{}.json"


class DataSpan(BaseModel):
    """The bars that a model was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    first_bar: str
    last_bar: str
    bars: int
    market: str = ""  # the symbol, and whether it is simulated
    content: str  # SHA-256


class Promotion(BaseModel):
    """A person's decision that a version be champion, whatever the gate found."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: str | None = None  # that was promoted; promotions of earlier releases do not say
    number: int | None = None  # 1 is the version's first
    reason: str
    by: str  # account name of whoever gave the command
    promoted_at: str
    unmet: list[str]  # checks that the version had not passed


class Ancestor(BaseModel):
    """An artefact that a model was made from."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    content: str  # SHA-256 of its files
    identity: str  # SHA-256 of its files, inputs, settings, code and figures


class Manifest(BaseModel):
    """Everything needed to trust a version, or not to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_number: int = SCHEMA
    desk: str
    version: str
    stage: Stage  # at deployment
    created_at: str
    software: dict[str, str]  # package -> version
    files: dict[str, str]  # name -> SHA-256
    data: DataSpan
    lineage: dict[str, Ancestor]  # by step
    metrics: dict[str, Any]
    checks: list[Check]
    config: dict[str, Any]  # the desk as it was resolved, for people
    serving: dict[str, Any]  # the settings that an answer needs, and no others
    memory_bars: int | None = None  # of a recurrent policy, where its own file does not say
    intervals: dict[str, Any] = {}  # horizon -> how wide the interval beside a prediction is
    trials: int = 0  # of the desk when the gate judged it
    promotions: list[Promotion] = []  # by hand; the only thing that is ever added


@dataclass(frozen=True)
class Version:
    """A version whose manifest was verified; files are verified as they are read."""

    folder: SealedFolder
    manifest: Manifest

    @property
    def directory(self) -> Path:
        """The folder that the version lies in."""
        return self.folder.path


class ModelStore:
    """The deployed versions of one desk, and the pointers that serve them."""

    def __init__(self, root: Path, desk: str) -> None:
        self.desk = desk
        self.directory = root / "models" / desk

    @contextmanager
    def lock(self, purpose: str) -> Generator[None]:
        """Exclusive right to change versions and pointers; first sweeps what a crash left.

        Raises:
            TollgateError: another process has it.
        """
        with exclusive_lock(self.directory / ".deploy.lock", f"{purpose} {self.desk}"):
            for folder in (self.directory, *(self.directory / name for name in self.versions())):
                remove_leftovers(folder)
            yield

    def publish(self, files: Mapping[str, bytes], manifest: Manifest) -> Version:
        """Seal files as a new version; no pointer moves. The caller holds the lock.

        Args:
            files: name -> content, as it was judged.
            manifest: of the version; the hashes of its files are added here.

        Raises:
            TollgateError: the version exists.
        """
        final = self.directory / manifest.version
        with draft_folder(self.directory) as draft:
            for name, content in files.items():
                (draft / name).write_bytes(content)
            body = manifest.model_dump(mode="json", exclude={"files", "promotions"})
            seal(draft, final, MANIFEST, body)
        return self.version(manifest.version)

    def promote(self, name: str, promotion: Promotion) -> Version:
        """Write a promotion beside a version's manifest, for good, and make the version champion.

        Asked again after a crash in between, it writes nothing twice.

        Raises:
            TollgateError: the version is missing or was changed.
        """
        version = self.version(name)
        known = version.manifest.promotions
        same = known and (known[-1].reason, known[-1].by) == (promotion.reason, promotion.by)
        is_under_way = same and self.pointed("champion") != name
        if not is_under_way:
            number = len(known) + 1
            whole = promotion.model_copy(update={"version": name, "number": number})
            path = version.directory / PROMOTION.format(number)
            write_document(path, whole.model_dump(mode="json"))
        self.point("champion", name)
        return self.version(name)

    def point(self, stage: Stage, version: str) -> None:
        """Make a version, every file of it verified, the one that a stage serves."""
        pointed = self.version(version)
        self.verify(pointed)
        body = {
            "version": version,
            "promotions": len(pointed.manifest.promotions),
            "moved_at": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_document(self.directory / f"{stage}.json", body)

    def version(self, name: str) -> Version:
        """A version, its manifest verified.

        Raises:
            TollgateError: it is missing, half-written or was changed.
        """
        if name not in self.versions():
            known = ", ".join(self.versions()) or "none"
            raise TollgateError(f"version must be one of desk {self.desk}'s ({known}), was {name}")
        path = self.directory / name / MANIFEST
        folder = open_sealed(path.parent, MANIFEST, lambda raw: self._manifest(name, raw))
        body = dict(folder.body)
        promotions = [*body.get("promotions", []), *self._promotions(name)]
        current = migrate_manifest(body, str(path)) | {"promotions": promotions}
        manifest = validated(Manifest, current, str(path))
        if (manifest.desk, manifest.version) != (self.desk, name):
            raise TollgateError(
                f"{path} must be of {self.desk} {name}, was of {manifest.desk} {manifest.version}"
            )
        return Version(folder, manifest)

    def verify(self, version: Version) -> None:
        """Hash every file of a version.

        Raises:
            TollgateError: a file is missing or was changed.
        """
        for name in version.folder.files:
            version.folder.read(name)

    def served(self, stage: str) -> Version:
        """The version that a stage's pointer names.

        Raises:
            TollgateError: there is no pointer, or what it names is not what it was.
        """
        name = self.pointed(stage)
        if name is None:
            raise TollgateError(
                f"desk {self.desk} must have a {stage} model, was none "
                f"({self.directory / f'{stage}.json'}): run its chain first"
            )
        version, promotions = self.version(name), self._pointer(stage).get("promotions", 0)
        if len(version.manifest.promotions) < promotions:
            raise TollgateError(
                f"{version.directory} must hold the {promotions} promotions with which it was made "
                f"{stage}, was {len(version.manifest.promotions)}: bring back what was deleted"
            )
        return version

    def current_stage(self) -> Stage:
        """`champion` if there is one, else `shadow`."""
        is_pointed = (self.directory / "champion.json").exists()
        return "champion" if is_pointed else "shadow"

    def pointers(self) -> dict[str, str]:
        """Stage -> version, for the pointers that exist.

        Raises:
            TollgateError: a pointer is broken.
        """
        found = {stage: self.pointed(stage) for stage in STAGES}
        return {stage: version for stage, version in found.items() if version is not None}

    def trials(self) -> dict[str, int]:
        """Version -> how many trials the desk had made when the gate judged it.

        Raises:
            TollgateError: a manifest was changed.
        """
        return {name: self.version(name).manifest.trials for name in self.versions()}

    def versions(self) -> list[str]:
        """Names of all versions, oldest first."""
        if not self.directory.is_dir():
            return []
        return sorted(
            p.name for p in self.directory.iterdir() if p.is_dir() and not p.name.startswith(".")
        )

    def pointed(self, stage: str) -> str | None:
        """Name of the version that a stage serves; None without a pointer.

        Raises:
            TollgateError: the pointer is broken.
        """
        pointer = self._pointer(stage)
        return str(pointer["version"]) if pointer else None

    def _pointer(self, stage: str) -> dict[str, Any]:
        path = self.directory / f"{stage}.json"
        if not path.exists():
            return {}
        value = read_json(path)
        if isinstance(value, dict) and HASH in value:
            value = read_document(path)
        elif not (isinstance(value, dict) and set(value) == {"version", "moved_at"}):
            raise TollgateError(f"{path} must name a version, was broken: roll back to one")
        return value

    def _promotions(self, name: str) -> list[dict[str, Any]]:
        directory = self.directory / name
        paths = sorted(directory.glob(PROMOTION.format("*")), key=lambda p: (len(p.name), p.name))
        promotions = [read_document(path) for path in paths]
        for number, (path, each) in enumerate(zip(paths, promotions, strict=True), start=1):
            of = (each.get("version") or name, each.get("number") or number)
            if of != (name, number) or path.name != PROMOTION.format(number):
                raise TollgateError(
                    f"{path} must be promotion {number} of version {name}, was promotion {of[1]} "
                    f"of {of[0]}, or one before it was taken away"
                )
        return promotions

    def _manifest(self, name: str, raw: bytes) -> dict[str, Any]:
        """A manifest that vouches for itself, or one of schema 1 that the index vouches for."""
        path = self.directory / name / MANIFEST
        body = parse_json(raw, path)
        if isinstance(body, dict) and HASH in body:
            return parse_document(raw, path)
        self._require_indexed(name, raw)
        return body

    def _require_indexed(self, name: str, raw: bytes) -> None:
        """Refuse a manifest of schema 1 that its index does not vouch for."""
        index = read_json(self.directory / EARLIER_INDEX)
        known = index if isinstance(index, dict) else {}
        if sha256_bytes(raw) not in (known.get(name), known.get(name + EARLIER_BEFORE)):
            raise TollgateError(
                f"{self.directory / name / MANIFEST} must be as it was deployed, was changed since "
                f"(SHA-256 now {sha256_bytes(raw)[:12]}), or {EARLIER_INDEX} was: bring both back"
            )
