"""Checkpoints: whole or not there, found by step and hash, never by a file's time.

<folder>/checkpoint_<step>/         state.safetensors  checkpoint.json
<folder>/model_interrupted_<time>/  the same
"""

import shutil
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from safetensors.torch import load_file, save_file
from torch import Tensor

from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import new_directory, read_json, sha256_file, sha256_json, write_json

STATE, FACTS = "state.safetensors", "checkpoint.json"
PATTERNS = ("checkpoint_*/", "model_interrupted_*/")
KEPT = 3  # of those that were due


class Checkpoint(BaseModel):
    """A training's state at the end of an iteration."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    step: int  # environment steps
    state_sha256: str
    facts: dict[str, Any]
    facts_sha256: str


def save_checkpoint(
    folder: Path, name: str, step: int, tensors: Mapping[str, Tensor], facts: Mapping[str, Any]
) -> Path:
    """Write a checkpoint; it appears whole or not at all."""
    final = folder / name
    with new_directory(final) as directory:
        state = {key: tensor.detach().cpu().contiguous().clone() for key, tensor in tensors.items()}
        save_file(state, directory / STATE)
        checkpoint = Checkpoint(
            step=step,
            state_sha256=sha256_file(directory / STATE),
            facts=dict(facts),
            facts_sha256=sha256_json(dict(facts)),
        )
        write_json(directory / FACTS, checkpoint.model_dump())
    return final


def periodic_name(step: int) -> str:
    """Name of a checkpoint that was due; sorts by step."""
    return f"checkpoint_{step:015d}"


def interrupted_name(now: datetime) -> str:
    """Name of the checkpoint that an interrupted training leaves."""
    return f"model_interrupted_{now:%Y%m%d_%H%M%S}"


def load_checkpoint(directory: Path) -> tuple[Checkpoint, dict[str, Tensor]]:
    """Read and verify.

    Raises:
        TollgateError: it is missing, half-written or was changed.
    """
    path = directory / FACTS
    checkpoint = validated(Checkpoint, read_json(path), str(path))
    state = directory / STATE
    actual = sha256_file(state) if state.is_file() else "missing"
    if actual != checkpoint.state_sha256:
        raise TollgateError(
            f"{state} must have the SHA-256 {checkpoint.state_sha256[:12]} of its checkpoint, "
            f"was {actual[:12]}"
        )
    if sha256_json(checkpoint.facts) != checkpoint.facts_sha256:
        raise TollgateError(f"{path} must be as it was written, was changed since")
    return checkpoint, load_file(state)


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
    """Remove all checkpoints of a training that is done."""
    for directory in checkpoints(folder):
        shutil.rmtree(directory)


def remove_old(folder: Path) -> None:
    """Remove all but the last few of those that were due."""
    for directory in sorted(folder.glob(PATTERNS[0]))[:-KEPT]:
        shutil.rmtree(directory)
