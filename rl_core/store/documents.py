"""Sealed documents: JSON files that carry their own hash.

Every byte counts: a document is only read if it is, byte for byte, what was written.
"""

from pathlib import Path
from typing import Any

from rl_core.base.errors import TollgateError
from rl_core.base.files import (
    LARGEST_JSON_BYTES,
    json_text,
    parse_json,
    read_regular,
    sha256_json,
    write_atomically,
)

HASH = "sha256"


def document_text(body: dict[str, Any]) -> str:
    """A body as a document's text, its hash last."""
    return json_text({**body, HASH: sha256_json(body)})


def write_document(path: Path, body: dict[str, Any]) -> None:
    """Write or replace a self-hashed document atomically."""
    write_atomically(path, document_text(body).encode())


def read_document(path: Path) -> dict[str, Any]:
    """The body of a document.

    Raises:
        TollgateError: it is missing, is no document, or differs by as much as a bit from what was
            written.
    """
    return parse_document(read_regular(path, LARGEST_JSON_BYTES), path)


def parse_document(raw: bytes, where: Path) -> dict[str, Any]:
    """The body of a document that was read already.

    Raises:
        TollgateError: it is no document, or was changed since it was written.
    """
    value = parse_json(raw, where)
    if isinstance(value, dict) and HASH in value:
        body = {name: each for name, each in value.items() if name != HASH}
        try:
            is_whole = document_text(body).encode() == raw
        except (ValueError, RecursionError):
            is_whole = False
        if is_whole:
            return body
    raise TollgateError(
        f"{where} must be as it was written, was changed since: bring it back from a copy, or "
        "remove it and make it again"
    )
