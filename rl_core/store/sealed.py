"""Sealed folders: the one way in which files are written for good, hashed, and verified.

A sealed folder holds files and one document (`documents.py`) with their SHA-256. It appears whole
under its name, or not at all, and never changes afterwards. Artefacts, models, checkpoints and
folds of a walk forward are sealed folders.
"""

import os
import shutil
import stat
import tempfile
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from rl_core.base.errors import TollgateError
from rl_core.base.files import (
    TEMPORARY,
    parse_json,
    read_regular,
    sha256_bytes,
    sha256_file,
    sync_directory,
    sync_tree,
)
from rl_core.store.documents import document_text, read_document

FILES = "files"
LEFTOVER = ".writing."  # begins the name of a folder that is not finished


@dataclass(frozen=True)
class SealedFolder:
    """A folder whose document was verified; its files are verified as they are read."""

    path: Path
    document: str  # name of the document in it
    body: Mapping[str, Any]

    @property
    def files(self) -> Mapping[str, str]:
        """Name of each file -> its SHA-256."""
        return self.body[FILES]

    @property
    def schema_number(self) -> int:
        """Schema under which it was written; 1 had no number."""
        return int(self.body.get("schema_number", 1))

    def read(self, name: str) -> bytes:
        """A file's bytes, read once and hashed as read.

        Raises:
            TollgateError: the seal does not name the file, or it was changed since.
        """
        if name not in self.files:
            raise TollgateError(f"{self.path} must hold {name}, was sealed without")
        path = self.path / name
        raw = read_regular(path)
        if sha256_bytes(raw) != self.files[name]:
            raise _changed(self.path, [name])
        return raw

    def read_json(self, name: str) -> Any:
        """A JSON file's value.

        Raises:
            TollgateError: it was changed since.
        """
        return parse_json(self.read(name), self.path / name)

    def verify(self) -> None:
        """Hash every file.

        Raises:
            TollgateError: a file is missing, was added or was changed.
        """
        found = _hashes(self.path, self.document)
        wrong = {n for n in {*found, *self.files} if found.get(n) != self.files.get(n)}
        if wrong:
            raise _changed(self.path, sorted(wrong))


def open_sealed(
    path: Path, document: str, verify: Callable[[bytes], dict[str, Any]] | None = None
) -> SealedFolder:
    """A sealed folder, its document verified.

    Args:
        path: the folder.
        document: name of the document in it.
        verify: reads the document's bytes, where it need not vouch for itself.

    Raises:
        TollgateError: there is no such folder, or its document was changed.
    """
    where = path / document
    body = read_document(where) if verify is None else verify(read_regular(where))
    files = body.get(FILES)
    if not isinstance(files, dict) or any("/" in name or name in {"", "."} for name in files):
        raise TollgateError(f"{path / document} must name the files beside it, was without")
    return SealedFolder(path, document, body)


@contextmanager
def draft_folder(parent: Path) -> Generator[Path]:
    """An empty folder to be filled and then sealed; gone after the block if it was not."""
    parent.mkdir(parents=True, exist_ok=True)
    directory = Path(tempfile.mkdtemp(dir=parent, prefix=LEFTOVER))
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def hash_files(directory: Path) -> dict[str, str]:
    """Name -> SHA-256 of every file of a draft."""
    return _hashes(directory, document=None)


def seal(draft: Path, final: Path, document: str, body: Mapping[str, Any]) -> SealedFolder:
    """Write the document into a draft, flush it to the disk, and give it its name.

    Args:
        draft: the filled folder.
        final: where it will lie; nothing may lie there yet.
        document: name of the document.
        body: of the document; the hashes of the files are added here.

    Raises:
        TollgateError: something lies at `final`.
    """
    if final.exists():
        raise TollgateError(f"what is sealed never changes, was there already: {final}")
    whole = {FILES: hash_files(draft), **body}
    (draft / document).write_text(document_text(whole))
    sync_tree(draft)
    draft.chmod(0o755)
    os.rename(draft, final)  # noqa: PTH104 - one of the calls at which tests stop a process
    sync_directory(final.parent)
    return SealedFolder(final, document, whole)


def remove_leftovers(parent: Path) -> list[Path]:
    """Remove folders and files that a killed process was writing; only under the writer's lock."""
    if not parent.is_dir():
        return []
    found = [path for path in parent.iterdir() if is_leftover(path)]
    for path in found:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()
    return found


def is_leftover(path: Path) -> bool:
    """True if a killed process left a path unfinished, as its name says; under its writer's lock.

    A temporary file belongs to the process that it names while that lives.
    """
    if fnmatch(path.name, TEMPORARY):
        return not _is_being_written(path)
    return path.name.startswith(LEFTOVER)


def _is_being_written(temporary: Path) -> bool:
    """True if the process that began to write a temporary file is still there."""
    writer = temporary.suffixes[-2].removeprefix(".")
    return writer.isdecimal() and Path(f"/proc/{writer}").exists()


def _hashes(directory: Path, document: str | None) -> dict[str, str]:
    hashes: dict[str, str] = {}
    for path in sorted(directory.iterdir()):
        if path.name == document:
            continue
        if not stat.S_ISREG(path.lstat().st_mode):
            raise TollgateError(f"{directory} must hold plain files only, was {path.name} too")
        hashes[path.name] = sha256_file(path)
    return hashes


def _changed(path: Path, names: list[str]) -> TollgateError:
    return TollgateError(
        f"{path} must be as it was sealed, was changed since ({', '.join(names)}): delete {path} "
        "and make it again, or bring it back from a copy"
    )
