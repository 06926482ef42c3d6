"""Safetensors files: the only way in which weights are written."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def write_tensors(path: Path, tensors: "Mapping[str, torch.Tensor]") -> None:
    """Write tensors into a safetensors file.

    Raises:
        OSError: it cannot be written, for example because the disk is full.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file  # torch takes a second to load

    try:
        save_file(dict(tensors), path)
    except SafetensorError as error:  # the library's own way to say so
        raise OSError(None, str(error), str(path)) from None
