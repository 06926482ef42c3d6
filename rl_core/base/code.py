"""Which code made something: a fingerprint of the library's sources."""

from functools import lru_cache
from pathlib import Path

from rl_core.base.files import sha256_bytes, sha256_json

PACKAGE = Path(__file__).resolve().parents[1]
SHOWS_ONLY = ("cli", "lab/trials")  # packages that make nothing that is sealed


@lru_cache(maxsize=1)
def code_fingerprint() -> str:
    """SHA-256 over the sources of everything that can shape a sealed artefact."""
    sources = {
        name: sha256_bytes(path.read_bytes())
        for path in sorted(PACKAGE.rglob("*.py"))
        for name in [path.relative_to(PACKAGE).as_posix()]
        if not any(name == f"{each}.py" or name.startswith(f"{each}/") for each in SHOWS_ONLY)
    }
    return sha256_json(sources)
