"""What may be removed from a desk's lake, and what never is.

Never removed: what the chain stands on now, what any version in the model store was made from
(each may be served, or rolled back to), the newest few of each step, and all that these were made
from.
"""

import shutil
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

from rl_core.base.files import TEMPORARY, exclusive_lock
from rl_core.store.artifacts import CURRENT, EARLIER_SEAL, NAME_LENGTH, VERDICTS, ArtifactStore
from rl_core.store.models import ModelStore
from rl_core.store.sealed import is_leftover


@dataclass(frozen=True)
class Removable:
    """A folder or file that nothing needs any more."""

    path: Path
    step: str
    why: str

    @property
    def num_bytes(self) -> int:
        """What it takes on the disk."""
        files = self.path.rglob("*") if self.path.is_dir() else [self.path]
        return sum(file.lstat().st_size for file in files if not file.is_dir())


def clean(
    artifacts: ArtifactStore,
    models: ModelStore,
    keep: int,
    *,
    is_dry_run: bool,
    before: Callable[[], None] = lambda: None,
) -> list[Removable]:
    """Find what may be removed, and remove it unless this is a dry run.

    Args:
        artifacts: of the desk.
        models: of the desk.
        keep: newest artefacts of each step to keep besides those that are needed.
        is_dry_run: remove nothing.
        before: called under the locks, before anything is removed.

    Returns:
        What may be removed, or was.

    Raises:
        TollgateError: a build or a deployment is under way, or a version's manifest or a seal that
            says what is needed was changed: then nothing is removed.
    """
    steps = sorted(p.name for p in artifacts.directory.glob("*/") if not p.name.startswith("."))
    with ExitStack() as locks:
        locks.enter_context(models.lock("cleaning"))
        for step in steps:
            locks.enter_context(
                exclusive_lock(
                    artifacts.directory / f".{step}.lock", f"building or cleaning {step}"
                )
            )
        stays = needed(artifacts, models, steps, keep)
        found = removable(artifacts, steps, stays, steps_of_earlier_layouts(models))
        if not is_dry_run:
            before()
            for each in found:
                shutil.rmtree(each.path) if each.path.is_dir() else each.path.unlink()
    return found


def needed(
    artifacts: ArtifactStore, models: ModelStore, steps: Sequence[str], keep: int
) -> set[tuple[str, str]]:
    """Step and identity of every artefact that must stay."""
    roots: set[tuple[str, str]] = set()
    for step in steps:
        if artifacts.has(step):
            roots.add((step, artifacts.current(step)))
        newest = artifacts.identities(step)[-keep:] if keep else []
        roots |= {(step, identity) for identity in newest}
    for version in models.versions():
        lineage = models.version(version).manifest.lineage
        roots |= {(step, ancestor.identity) for step, ancestor in lineage.items()}
    return _with_ancestors(artifacts, roots)


def _with_ancestors(
    artifacts: ArtifactStore, roots: Iterable[tuple[str, str]]
) -> set[tuple[str, str]]:
    found: set[tuple[str, str]] = set()
    waiting = list(roots)
    while waiting:
        step, identity = waiting.pop()
        if (step, identity) in found:
            continue
        found.add((step, identity))
        # versions of earlier layouts name artefacts that are not kept by identity
        if (artifacts.directory / step / identity[:NAME_LENGTH]).is_dir():
            waiting += artifacts.open(step, identity).seal.inputs.items()
    return found


def steps_of_earlier_layouts(models: ModelStore) -> set[str]:
    """Steps whose artefact of before schema 2, one folder a step, a version was made from."""
    versions = [models.version(name) for name in models.versions()]
    return {
        step
        for version in versions
        if "schema_number" not in version.folder.body
        for step in version.manifest.lineage
    }


def removable(
    artifacts: ArtifactStore,
    steps: Sequence[str],
    needed: set[tuple[str, str]],
    earlier: Collection[str] = (),
) -> list[Removable]:
    """Everything in the lake's folders that is neither needed nor a pointer.

    Args:
        artifacts: of the desk.
        steps: whose folders are looked at.
        needed: step and identity of what stays.
        earlier: steps whose artefact of the earlier layout stays.
    """
    found: list[Removable] = []
    for step in steps:
        names = {identity[:NAME_LENGTH] for name, identity in needed if name == step}
        for path in sorted((artifacts.directory / step).iterdir()):
            stem = path.name.removesuffix(VERDICTS)
            if path.name == CURRENT or stem in names:
                continue
            if fnmatch(path.name, TEMPORARY) and not is_leftover(path):
                continue
            is_earlier = (artifacts.directory / step / EARLIER_SEAL).exists() and path.is_file()
            if is_earlier and step in earlier:
                continue
            why = (
                "left by a build that was killed" if is_leftover(path)
                else "of an earlier version's layout" if is_earlier
                else "older than those kept, and no version was made from it"
            )  # fmt: skip
            found.append(Removable(path, step, why))
    return found
