"""Several processes that train one model, each on its own device with its own accounts.

`torchrun` starts them and tells each its rank; without it there is one process and nothing here
does anything.
"""

import os
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel


@dataclass(frozen=True)
class Processes:
    """This process among those that train together."""

    rank: int = 0
    count: int = 1

    @property
    def is_first(self) -> bool:
        """The one that speaks, validates and writes."""
        return self.rank == 0

    def average(self, values: Tensor) -> Tensor:
        """Mean of a tensor over the processes (all-reduce)."""
        return self._reduce(values, dist.ReduceOp.SUM) / self.count if self.count > 1 else values

    def any(self, flags: Tensor) -> Tensor:
        """Where a flag is set in any process."""
        if self.count == 1:
            return flags
        return self._reduce(flags.to(torch.uint8), dist.ReduceOp.MAX).bool()

    def smallest_share(self, limit: int, device: torch.device) -> int:
        """What each process may use, the same for all; processes on CPUs share one memory."""
        if self.count == 1:
            return limit
        own = torch.tensor(limit if device.type == "cuda" else limit // self.count, device=device)
        return int(self._reduce(own, dist.ReduceOp.MIN))

    def gather(self, values: Tensor) -> list[Tensor]:
        """Every process's tensor of the same shape, by rank."""
        if self.count == 1:
            return [values]
        found = [torch.empty_like(values) for _ in range(self.count)]
        dist.all_gather(found, values)
        return found

    def share_gradients(self, module: nn.Module) -> nn.Module:
        """The module, whose backward pass averages gradients over the processes."""
        if self.count == 1:
            return module
        return DistributedDataParallel(module, find_unused_parameters=True)

    def _reduce(self, values: Tensor, operation: dist.ReduceOp.RedOpType) -> Tensor:
        result = values.clone()
        dist.all_reduce(result, operation)
        return result


ONE_PROCESS = Processes()


def is_launched() -> bool:
    """True if torchrun started this process."""
    return {"RANK", "WORLD_SIZE", "MASTER_ADDR"} <= os.environ.keys()


@contextmanager
def joined_processes(device: torch.device) -> Generator[Processes]:
    """This process among those that torchrun started, or alone."""
    if not is_launched():
        yield ONE_PROCESS
        return
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    try:
        yield Processes(dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()
