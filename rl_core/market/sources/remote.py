"""Tables that lie elsewhere: files behind a URL, and what a database answers to a query."""

import os
import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd

from rl_core.base.errors import TollgateError

CHUNK = 2**20  # bytes


def with_secrets(url: str) -> str:
    """A URL with each ${NAME} replaced by what the environment holds.

    Raises:
        TollgateError: it holds no such name.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise TollgateError(f"bars.url needs {match[1]} in the environment, was not set")
        return os.environ[match[1]]

    return re.sub(r"\$\{(\w+)\}", value, url)


def name_of(url: str) -> str:
    """What messages call a URL: its last part, without what may be secret."""
    place = url.split("?", maxsplit=1)[0].rstrip("/")
    return place.rsplit("/", maxsplit=1)[-1] or place


@contextmanager
def fetched(url: str, most_bytes: int) -> Generator[Path]:
    """The file or files of a URL, in a folder that is gone after the block.

    Args:
        url: of a file, a folder or a pattern, as fsspec reads it.
        most_bytes: that a file may have.

    Raises:
        TollgateError: there is none, it cannot be read, or it is too large.
    """
    import fsspec

    with tempfile.TemporaryDirectory(prefix="tollgate-") as folder:
        try:
            system, path = fsspec.url_to_fs(with_secrets(url))
            names = sorted(system.glob(path)) if re.search(r"[*?\[]", path) else [path]
            if names == [path] and not url.startswith("http") and system.isdir(path):
                names = sorted(n for n in system.ls(path, detail=False) if system.isfile(n))
            for name in names:
                with system.open(name, "rb") as source:
                    _copy(source, Path(folder) / name_of(name), most_bytes, url)
        except TollgateError:
            raise
        except ImportError as error:
            raise TollgateError(f"bars.url {url} needs another library: {error}") from None
        except Exception as error:
            reason = (str(error).strip() or type(error).__name__).splitlines()[0][:200]
            raise TollgateError(f"bars must be readable, was {url}: {reason}") from None
        if not names:
            raise TollgateError(f"bars must come from an existing file, was {url}")
        yield Path(folder) / name_of(names[0]) if len(names) == 1 else Path(folder)


def _copy(source: object, target: Path, most_bytes: int, url: str) -> None:
    count = 0
    with target.open("wb") as file:
        while chunk := source.read(CHUNK):  # type: ignore[attr-defined] - a file of any kind
            count += len(chunk)
            if count > most_bytes:
                shutil.rmtree(target.parent, ignore_errors=True)
                raise TollgateError(f"{url} must have at most {most_bytes:,} bytes, had more")
            file.write(chunk)


def read_query(url: str, query: str) -> pd.DataFrame:
    """What a database answers to a query.

    Raises:
        TollgateError: the database cannot be reached, or refuses the query.
    """
    from sqlalchemy import create_engine, exc, text

    try:
        engine = create_engine(with_secrets(url))
        try:
            with engine.connect() as connection:
                return pd.read_sql(text(query), connection)
        finally:
            engine.dispose()
    except (exc.SQLAlchemyError, pd.errors.DatabaseError) as error:
        reason = str(getattr(error, "orig", None) or error).strip().splitlines()[0][:200]
        raise TollgateError(
            f"bars must come from a query that answers, was {url}: {reason}"
        ) from None
    except ImportError as error:
        raise TollgateError(f"bars.url needs the database's driver: {error}") from None
