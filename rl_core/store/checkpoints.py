"""Checkpoints: sealed folders of one training, found by step and hash, never by a file's time.

<folder>/checkpoint_<step>/         state.safetensors  checkpoint.json
<folder>/model_interrupted_<time>/  the same
"""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rl_core.base.errors import TollgateError
from rl_core.store.sealed import draft_folder, open_sealed, remove_leftovers, seal
from rl_core.store.tensors import write_tensors

if TYPE_CHECKING:
    from torch import Tensor

STATE, FACTS = "state.safetensors", "checkpoint.json"
PATTERNS = ("checkpoint_*/", "model_interrupted_*/")
KEPT = 3  # of those that were due


@dataclass(frozen=True)
class Checkpoint:
    """A training's state at the end of an iteration."""

    step: int  # environment steps
    facts: dict[str, Any]


def save_checkpoint(
    folder: Path, name: str, step: int, tensors: Mapping[str, "Tensor"], facts: Mapping[str, Any]
) -> Path:
    """Write a checkpoint; it appears whole or not at all."""
    remove_leftovers(folder)
    with draft_folder(folder) as draft:
        state = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
        write_tensors(draft / STATE, state)
        final = folder / name
        shutil.rmtree(final, ignore_errors=True)  # of a training that went this way before
        seal(draft, final, FACTS, {"step": step, "facts": dict(facts)})
    return final


def periodic_name(step: int) -> str:
    """Name of a checkpoint that was due; sorts by step."""
    return f"checkpoint_{step:015d}"


def interrupted_name(now: datetime) -> str:
    """Name of the checkpoint that an interrupted training leaves."""
    return f"model_interrupted_{now:%Y%m%d_%H%M%S}"


def load_checkpoint(directory: Path) -> tuple[Checkpoint, dict[str, "Tensor"]]:
    """Read and verify.

    Raises:
        TollgateError: it is missing, half-written or was changed.
    """
    from safetensors.torch import load

    folder = open_sealed(directory, FACTS)
    step, facts = folder.body.get("step"), folder.body.get("facts")
    if not isinstance(step, int) or not isinstance(facts, dict):
        raise TollgateError(f"{directory / FACTS} must say its step and facts, was without")
    return Checkpoint(step, facts), load(folder.read(STATE))


def newest_checkpoint(folder: Path) -> tuple[Path | None, list[str]]:
    """The valid checkpoint with most steps behind it, and why others were passed over."""
    found: list[tuple[int, str, Path]] = []
    refused: list[str] = []
    for directory in checkpoints(folder):
        try:
            found.append((load_checkpoint(directory)[0].step, directory.name, directory))
        except TollgateError as error:
            refused.append(str(error))
    return (max(found)[2] if found else None), refused


def checkpoints(folder: Path) -> list[Path]:
    """Every checkpoint of a folder, whole or not; those that were due by step, then the others."""
    return [path for pattern in PATTERNS for path in sorted(folder.glob(pattern))]


def remove_checkpoints(folder: Path) -> None:
    """Remove all checkpoints of a training that is done, and what a killed one was writing."""
    remove_leftovers(folder)
    for directory in checkpoints(folder):
        shutil.rmtree(directory)


def remove_old(folder: Path) -> None:
    """Remove all but the last few of those that were due."""
    for directory in sorted(folder.glob(PATTERNS[0]))[:-KEPT]:
        shutil.rmtree(directory)
