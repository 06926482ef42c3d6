"""How much of a device's memory a training may use."""

import pytest
import torch

from rl_core.learning.hardware.memory import memory_limit

GIB = 2**30


@pytest.mark.parametrize(
    ("device", "caps", "expected"),
    [
        ("cuda:0", (40.0, 20.0), 40e9),  # the first GPU has the first cap
        ("cuda", (40.0, 20.0), 40e9),  # which it is when no number is given
        ("cuda:1", (40.0, 20.0), 20e9),  # every other one the second
        ("cuda:3", (40.0, 20.0), 20e9),
        ("cuda:0", (500.0, 20.0), 80 * GIB * 0.8),  # never more than 80% of what is free
    ],
)
def test_each_gpu_has_its_own_cap(
    device: str, caps: tuple[float, float], expected: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    def free_and_total(_: torch.device) -> tuple[int, int]:
        return 80 * GIB, 96 * GIB

    monkeypatch.setattr(torch.cuda, "mem_get_info", free_and_total)
    assert memory_limit(torch.device(device), caps) == int(expected)
