"""Files that are either whole or not there: hashes, atomic writes, locks."""

import fcntl
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rl_core.base.errors import TollgateError


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form, hex."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def sha256_text(text: str) -> str:
    """SHA-256 of what a file with this text has, hex."""
    return hashlib.sha256(text.encode()).hexdigest()


def json_text(value: Any) -> str:
    """JSON that people can read; not-a-number is an error, for no parser knows it."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write JSON that people can read."""
    path.write_text(json_text(value))


def write_json_atomically(path: Path, value: Any) -> None:
    """Replace a JSON file so that a reader, or a crash, sees the old or the new one whole."""
    text = json_text(value)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_directory(path.parent)


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        TollgateError: it is missing or is not JSON.
    """
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        raise TollgateError(f"{path} must exist, was missing") from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise TollgateError(f"{path} must be whole JSON, was not: {error}") from None


@contextmanager
def new_directory(final: Path) -> Generator[Path]:
    """Fill a temporary directory that becomes `final` only when the block ends without error.

    An existing `final` is moved aside first and removed last, so that a crash leaves the old one,
    none, or the new one, and never a mixture.
    """
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(dir=final.parent, prefix=f".{final.name}."))
    try:
        yield temporary
        for file in temporary.rglob("*"):
            sync_file(file)
        sync_directory(temporary)
        old = temporary.with_name(f"{temporary.name}.old")
        if final.exists():
            final.rename(old)
        temporary.chmod(0o755)
        temporary.rename(final)
        sync_directory(final.parent)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def sync_file(path: Path) -> None:
    """Flush a file to the disk."""
    if path.is_file():
        with path.open("rb") as file:
            os.fsync(file.fileno())


def sync_directory(path: Path) -> None:
    """Flush a directory's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive_lock(path: Path, purpose: str) -> Generator[None]:
    """Hold a lock file for the block; the kernel frees it if the process dies.

    Raises:
        TollgateError: another process holds it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise TollgateError(
                f"{purpose} must run once at a time, was already running ({path})"
            ) from None
        yield
