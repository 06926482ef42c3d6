"""Rows of a dataset as the losses take them."""

from typing import Any

import torch

from rl_core.learning.cloning.clone import Demonstrations
from rl_core.offline.dataset import dataset_arrays
from rl_core.steps.context import Opened
from rl_core.steps.reading import read_dataset


def demonstrations(
    dataset: Opened[Any], horizons: tuple[str, ...], device: torch.device
) -> tuple[Demonstrations, Demonstrations]:
    """Training and validation rows of a dataset, on the device."""
    rows = read_dataset(dataset)
    train, validation = (
        Demonstrations.from_arrays(dataset_arrays(rows, horizons, split), device)
        for split in ("train", "validation")
    )
    return train, validation
