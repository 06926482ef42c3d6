"""Tables that lie elsewhere: files behind a URL, and what a database answers to a query."""

import os
import re
import shutil
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from rl_core.base.errors import TollgateError

CHUNK = 2**20  # bytes
NAMED = re.compile(r"\$\{(\w+)\}")


def with_secrets(url: str) -> str:
    """A URL with each ${NAME} replaced by what the environment holds, quoted in its user part.

    Raises:
        TollgateError: it holds no such name.
    """

    def value(match: re.Match[str]) -> str:
        if match[1] not in os.environ:
            raise TollgateError(f"bars.url needs {match[1]} in the environment, was not set")
        found = os.environ[match[1]]
        user = re.match(r"[^:]+://.*@", url)
        return quote(found, safe="") if user and match.end() <= user.end() else found

    return NAMED.sub(value, url)


def without_secrets(text: str, url: str) -> str:
    """What a library said, in one line, with nothing in it that the environment holds for a URL."""
    for name in NAMED.findall(url):
        if found := os.environ.get(name):
            for secret in sorted({found, quote(found, safe=""), quote(found)}, key=len)[::-1]:
                text = text.replace(secret, f"${{{name}}}")
    return (text.strip() or "no reason was given").splitlines()[0][:200]


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
            is_web = url.startswith("http")  # where ? begins a query, and a folder is a page
            is_pattern = "*" in path or (not is_web and re.search(r"[?\[]", path) is not None)
            names = sorted(system.glob(path)) if is_pattern else [path]
            if not is_pattern and not is_web and system.isdir(path):
                names = sorted(n for n in system.ls(path, detail=False) if system.isfile(n))
            # numbered: files of several folders may have one name
            places = [Path(folder) / f"{at:06d}-{name_of(name)}" for at, name in enumerate(names)]
            for name, place in zip(names, places, strict=True):
                with system.open(name, "rb") as source:
                    _copy(source, place, most_bytes, url)
        except TollgateError:
            raise
        except ImportError as error:
            said = without_secrets(str(error), url)
            raise TollgateError(f"bars.url {url} needs another library: {said}") from None
        except Exception as error:
            cause = error.__cause__ or error  # fsspec hides what happened behind the address
            reason = without_secrets(f"{type(cause).__name__} {cause}", url)
            raise TollgateError(f"bars must be readable, was {url}: {reason}") from None
        if not names:
            raise TollgateError(f"bars must come from an existing file, was {url}")
        yield places[0] if len(places) == 1 else Path(folder)


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
    if not re.match(r"\s*(select|with|from|values|table)\b", query, re.IGNORECASE):
        raise TollgateError(f"bars.query must be a SELECT, was {query[:60]!r}")
    from sqlalchemy import create_engine, exc, make_url, text

    try:
        address = make_url(with_secrets(url))
        file = address.database or ""
        if address.get_backend_name() == "sqlite" and not Path(file).is_file():
            raise TollgateError(f"bars must come from an existing database, was {url}")
        engine = create_engine(address)
        try:
            with engine.connect() as connection:
                return pd.read_sql(text(query), connection)
        finally:
            engine.dispose()
    except (exc.SQLAlchemyError, pd.errors.DatabaseError) as error:
        reason = without_secrets(str(getattr(error, "orig", None) or error), url)
        raise TollgateError(
            f"bars must come from a query that answers, was {url}: {reason}"
        ) from None
    except ImportError as error:
        raise TollgateError(f"bars.url needs the database's driver: {error}") from None
