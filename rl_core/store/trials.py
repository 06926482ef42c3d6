"""The ledger of trials: every policy that was ever trained for a desk, good or bad.

    data/trials/<desk>/<number>-<policy>.json   what was trained, or what a gate found of it
    data/trials/<desk>/head.json                how many entries there are, and the last one's hash

Whoever tries often enough finds something that looks good; the gate deflates a Sharpe ratio by how
often this desk has tried. Entries are only ever added. Each names the one before it and its hash,
so an entry that was taken away is missed and named. A policy that is trained again to the same
weights is the same trial.
"""

import re
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import variance
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field

from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import exclusive_lock, read_json, sha256_json
from rl_core.store.documents import read_document, write_document
from rl_core.store.sealed import remove_leftovers

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

NAME_LENGTH = 16
HEAD = "head.json"
_ENTRY = re.compile(r"^(\d{6})-[0-9a-f]+\.json$")
_EARLIER = re.compile(rf"^[0-9a-f]{{1,{NAME_LENGTH}}}\.json$")  # before entries were numbered


class Trial(BaseModel):
    """One training, as the ledger keeps it."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    policy: str  # SHA-256 of its weights
    made_at: str
    seeds: int = Field(ge=1)  # clones that were trained to pick one from
    settings: str  # SHA-256 of what PPO was told
    dataset: str  # content hash of `offline_dataset`: trials of one have the same validation bars
    validation_sharpe: float | None  # annual
    test_sharpe: float | None = None  # annual; None until a gate has judged it
    candidates: tuple[tuple[float, ...], ...]  # validation returns of each that was validated


@dataclass(frozen=True)
class _Entry:
    """An entry of the ledger, its document verified."""

    name: str
    body: dict[str, Any]

    @property
    def hash(self) -> str:
        return sha256_json(self.body)


class TrialLedger:
    """The hash-chained ledger of the trials of one desk."""

    def __init__(self, root: Path, desk: str) -> None:
        self.directory = root / "trials" / desk

    def record(self, trial: Trial) -> None:
        """Write a trial down; of one that is known only the number of seeds may grow."""
        with self._lock():
            known = {each.policy: each for each in self.trials()}.get(trial.policy)
            if known is None or known.seeds < trial.seeds:
                self._append(trial)

    def judged(self, policy: str, test_sharpe: float | None) -> None:
        """Write down what the gate found of a trial."""
        with self._lock():
            known = {each.policy: each for each in self.trials()}.get(policy)
            if known is not None and known.test_sharpe != test_sharpe:
                self._append(known.model_copy(update={"test_sharpe": test_sharpe}))

    def trials(self) -> list[Trial]:
        """All trials, in the order in which they were first written down.

        Raises:
            TollgateError: an entry was changed or taken away; names it.
        """
        found: dict[str, Trial] = {}
        for trial in self._read() or self._earlier():
            known = found.get(trial.policy)
            seeds = trial.seeds if known is None else max(known.seeds, trial.seeds)
            first = trial.made_at if known is None else known.made_at
            found[trial.policy] = trial.model_copy(update={"seeds": seeds, "made_at": first})
        return list(found.values())

    @contextmanager
    def _lock(self) -> Generator[None]:
        with exclusive_lock(self.directory / ".lock", "writing the ledger", wait=True):
            remove_leftovers(self.directory)
            entries, head = self._entries(), self._head()
            if entries and head is not None and head["entries"] < len(entries):
                # stopped between an entry and its head: from now on it is missed if it goes
                self._write_head(len(entries), entries[-1].name, entries[-1].hash)
            yield

    def _append(self, trial: Trial) -> None:
        entries = self._entries()
        if not entries:
            for earlier in self._earlier():
                entries.append(self._write(entries, earlier))
        self._write(entries, trial)

    def _write(self, entries: Sequence[_Entry], trial: Trial) -> _Entry:
        last = entries[-1] if entries else None
        if last is None:  # so that a first entry without a head is one whose head was taken away
            self._write_head(0, None, None)
        body = {
            "previous": None if last is None else {"name": last.name, "sha256": last.hash},
            "trial": trial.model_dump(mode="json"),
        }
        name = f"{len(entries) + 1:06d}-{trial.policy[:NAME_LENGTH]}.json"
        write_document(self.directory / name, body)
        entry = _Entry(name, body)
        self._write_head(len(entries) + 1, name, entry.hash)
        return entry

    def _write_head(self, entries: int, name: str | None, digest: str | None) -> None:
        body = {"entries": entries, "name": name, "hash": digest}
        write_document(self.directory / HEAD, body)

    def _read(self) -> list[Trial]:
        return [
            validated(Trial, entry.body["trial"], str(self.directory / entry.name))
            for entry in self._entries()
        ]

    def _entries(self) -> list[_Entry]:
        """Every entry, the chain from the first to the last one verified.

        An entry after the head, which a crash left there, counts: it was written whole.
        """
        # a writer adds an entry first, then moves the head: read the other way round, a ledger
        # that grows meanwhile has as many entries as its head says, or more
        head = self._head()
        names = self._names(_ENTRY)
        head = head or (self._head() if names else None)
        if head is None and names:
            raise self._missed(HEAD)
        if head is not None and len(names) < head["entries"]:
            raise self._missed(self._absent(names, head))
        entries: list[_Entry] = []
        for number, name in enumerate(names, start=1):
            entry = _Entry(name, read_document(self.directory / name))
            previous = entry.body.get("previous")
            expected = {"name": entries[-1].name, "sha256": entries[-1].hash} if entries else None
            if previous != expected or not name.startswith(f"{number:06d}-"):
                raise self._missed(
                    previous["name"] if previous and previous["name"] not in names else name
                )
            entries.append(entry)
        if head and head["entries"] and entries[head["entries"] - 1].hash != head["hash"]:
            raise self._missed(head["name"])
        return entries

    def _head(self) -> dict[str, Any] | None:
        path = self.directory / HEAD
        return read_document(path) if path.exists() else None

    def _absent(self, names: Sequence[str], head: dict[str, Any]) -> str:
        """Name of the last entry that the ledger should have and has not."""
        if head["name"] not in names:
            return str(head["name"])
        numbers = {int(name[:6]) for name in names}
        gap = max(set(range(1, int(head["entries"]) + 1)) - numbers)
        after = next(name for name in names if int(name[:6]) == gap + 1)
        return str(read_document(self.directory / after)["previous"]["name"])

    def _missed(self, name: str) -> TollgateError:
        return TollgateError(
            f"{self.directory / name} must be as it was written, and was changed or taken away: "
            "bring it back from a copy; every training counts"
        )

    def _names(self, pattern: re.Pattern[str]) -> list[str]:
        if not self.directory.is_dir():
            return []
        return sorted(p.name for p in self.directory.iterdir() if pattern.match(p.name))

    def _earlier(self) -> list[Trial]:
        """Trials of before entries were numbered, oldest first."""
        found = [_earlier_trial(self.directory / name) for name in self._names(_EARLIER)]
        return sorted(found, key=lambda trial: trial.made_at)


def _earlier_trial(path: Path) -> Trial:
    found = read_json(path)
    entry = found.get("trial") if isinstance(found, dict) else None
    if entry is None or sha256_json(entry) != found.get("sha256"):
        raise TollgateError(f"{path} must be as it was written, was changed since: bring it back")
    return validated(Trial, entry, str(path))


def number_of(trials: Sequence[Trial]) -> int:
    """How many policies were trained: each seed is one; at least the one that asks."""
    return max(sum(trial.seeds for trial in trials), 1)


def variance_of(trials: Sequence[Trial]) -> float | None:
    """Variance of the trials' annual Sharpe ratios; None where fewer than two are known.

    Those that a gate found on test; with fewer than two of them, those on validation.
    """
    tested = [trial.test_sharpe for trial in trials if trial.test_sharpe is not None]
    validated_ = [t.validation_sharpe for t in trials if t.validation_sharpe is not None]
    found = tested if len(tested) > 1 else validated_
    return variance(found) if len(found) > 1 else None


def candidates_of(trials: Sequence[Trial], dataset: str) -> "NDArray[np.float64] | None":
    """Validation returns (T, N) of all candidates of all trials on one dataset."""
    columns = [
        column
        for trial in trials
        if trial.dataset == dataset
        for column in trial.candidates
        if len(column)
    ]
    import numpy as np

    return np.array(columns).T if columns else None
