"""The ledger of trials: every policy that was ever trained for a desk, good or bad.

    data/trials/<desk>/<policy>.json

Whoever tries often enough finds something that looks good; the gate deflates a Sharpe ratio by how
often this desk has tried. A policy that is trained again to the same weights is the same trial.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import read_json, sha256_json, write_json_atomically

NAME_LENGTH = 16


class Trial(BaseModel):
    """One training."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    policy: str  # SHA-256 of its weights
    made_at: str
    seeds: int = Field(ge=1)  # clones that were trained to pick one from
    settings: str  # SHA-256 of what PPO was told
    dataset: str  # content hash of `offline_dataset`: trials of one have the same validation bars
    validation_sharpe: float | None  # annual
    test_sharpe: float | None = None  # annual; None until a gate has judged it
    candidates: tuple[tuple[float, ...], ...]  # validation returns of each that was validated


class TrialLedger:
    """The trials of one desk."""

    def __init__(self, root: Path, desk: str) -> None:
        self.directory = root / "trials" / desk

    def record(self, trial: Trial) -> None:
        """Write a trial down; of one that is known only the number of seeds may grow."""
        path = self._path(trial.policy)
        if path.is_file():
            known = read_trial(path)
            trial = known.model_copy(update={"seeds": max(known.seeds, trial.seeds)})
        write_trial(path, trial)

    def judged(self, policy: str, test_sharpe: float | None) -> None:
        """Note what the gate found of a trial."""
        path = self._path(policy)
        if path.is_file():
            write_trial(path, read_trial(path).model_copy(update={"test_sharpe": test_sharpe}))

    def trials(self) -> list[Trial]:
        """All of them, in the order of their names."""
        paths = sorted(self.directory.glob("*.json")) if self.directory.is_dir() else []
        return [read_trial(path) for path in paths]

    def _path(self, policy: str) -> Path:
        return self.directory / f"{policy[:NAME_LENGTH]}.json"


def write_trial(path: Path, trial: Trial) -> None:
    """Write an entry with its own hash."""
    entry = trial.model_dump(mode="json")
    write_json_atomically(path, {"sha256": sha256_json(entry), "trial": entry})


def read_trial(path: Path) -> Trial:
    """An entry that is as it was written.

    Raises:
        TollgateError: it was changed since.
    """
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
    return float(np.var(found, ddof=1)) if len(found) > 1 else None


def candidates_of(trials: Sequence[Trial], dataset: str) -> np.ndarray | None:
    """Validation returns (T, N) of all candidates of all trials on one dataset."""
    columns = [
        column
        for trial in trials
        if trial.dataset == dataset
        for column in trial.candidates
        if len(column)
    ]
    return np.array(columns).T if columns else None
