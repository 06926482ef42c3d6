"""Files that are either whole or not there: hashes, reading, atomic writes, locks.

Whatever is written goes through `os.write`, `os.fsync` and `os.replace`, so that a test can stop a
process at each of them.
"""

import fcntl
import hashlib
import json
import os
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rl_core.base.errors import TollgateError

LARGEST_JSON_BYTES = 256 * 2**20
TEMPORARY = ".*.*.tmp"  # .<name>.<process>.tmp, as `write_atomically` calls what is not finished


def sha256_bytes(raw: bytes) -> str:
    """SHA-256 of some bytes, as 64 hexadecimal digits."""
    return hashlib.sha256(raw).hexdigest()


def sha256_file(path: Path) -> str:
    """SHA-256 of a file's content, hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_json(value: Any) -> str:
    """SHA-256 of a JSON value in canonical form, hex."""
    return sha256_bytes(json.dumps(value, sort_keys=True, allow_nan=False).encode())


def json_text(value: Any) -> str:
    """JSON that people can read; not-a-number is an error, since no parser knows it."""
    return json.dumps(value, indent=2, allow_nan=False) + "\n"


def write_json(path: Path, value: Any) -> None:
    """Write JSON that people can read, into a folder that nobody reads yet."""
    path.write_text(json_text(value))


def write_atomically(path: Path, raw: bytes) -> None:
    """Replace a file so that a reader, or a crash, sees the old or the new one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o644)
    try:
        try:
            left = memoryview(raw)
            while left:
                left = left[os.write(descriptor, left) :]
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.replace(temporary, path)  # noqa: PTH105 - where tests stop a process
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def write_json_atomically(path: Path, value: Any) -> None:
    """Replace a JSON file so that a reader, or a crash, sees the old or the new one whole."""
    write_atomically(path, json_text(value).encode())


def read_regular(path: Path, most_bytes: int | None = None) -> bytes:
    """Content of a regular file; a pipe or a device is refused instead of waited for.

    Raises:
        TollgateError: the file is missing, is none, is too large, or may not be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        raise TollgateError(f"{path} must exist, was missing") from None
    except OSError as error:
        raise TollgateError(f"{path} must be readable, was not: {error.strerror}") from None
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise TollgateError(f"{path} must be a file, was a folder, a pipe or a device")
        if most_bytes is not None and found.st_size > most_bytes:
            raise TollgateError(
                f"{path} must have at most {most_bytes:,} bytes, was {found.st_size:,}"
            )
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    finally:
        os.close(descriptor)


def parse_json(raw: bytes, where: Path) -> Any:
    """Parse a JSON file's content.

    Raises:
        TollgateError: the content is not JSON, or is nested too deep.
    """
    try:
        return json.loads(raw.decode())
    except (ValueError, RecursionError) as error:
        reason = "nested too deep" if isinstance(error, RecursionError) else str(error)
        raise TollgateError(f"{where} must be whole JSON, was not: {reason}") from None


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        TollgateError: the file is missing or is not JSON.
    """
    return parse_json(read_regular(path, LARGEST_JSON_BYTES), path)


def sync_tree(directory: Path) -> None:
    """Flush every file of a directory, and the directory itself, to the disk."""
    for file in sorted(directory.iterdir()):
        descriptor = os.open(file, os.O_RDONLY | os.O_NOFOLLOW)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_directory(directory)


def sync_directory(path: Path) -> None:
    """Flush a directory's entries to the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def exclusive_lock(path: Path, purpose: str, *, wait: bool = False) -> Generator[None]:
    """Hold a lock file for the block; the kernel frees it if the process dies.

    The file is never truncated and a link is not followed, so a lock cannot harm what it names.

    Args:
        path: of the lock file, created where it is missing.
        purpose: what the lock is for, for the message.
        wait: wait for whoever holds it, instead of raising.

    Raises:
        TollgateError: another process holds it, or the path is no plain file.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    try:
        descriptor = os.open(path, flags, 0o644)
    except OSError as error:
        raise TollgateError(
            f"{path} must be a lock file, was not: {error.strerror}: remove it"
        ) from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise TollgateError(f"{path} must be a lock file, was none: remove it")
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise TollgateError(
                f"{purpose} must run once at a time, was already running ({path})"
            ) from None
        yield
    finally:
        os.close(descriptor)
