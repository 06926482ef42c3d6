"""Cut a rollout into minibatches of whole chunks of time, so that gathers copy whole rows.

A chunk is one step long, or for a recurrent network `chunk_steps`; where there are fewer chunks
than minibatches, the accounts are cut into blocks too. Shapes: T steps, N accounts, C chunks of K
steps, B blocks of W accounts, m tiles of a minibatch.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

from rl_core.base.errors import TollgateError


@dataclass(frozen=True)
class Tiling:
    """How a rollout is cut into chunks, and chunks into minibatches."""

    chunks: int  # C
    chunk_steps: int  # K
    blocks: int  # B
    minibatches: int

    @classmethod
    def of(cls, steps: int, envs: int, chunk_steps: int, minibatches: int) -> "Tiling":
        """The coarsest cut that gives so many equal minibatches.

        Raises:
            TollgateError: there is none.
        """
        chunks, left_over = divmod(steps, chunk_steps)
        blocks = minibatches // math.gcd(chunks, minibatches) if not left_over else 1
        if left_over or envs % blocks:
            raise TollgateError(
                f"a rollout must split evenly, was {steps} steps in chunks of {chunk_steps} and "
                f"{envs} accounts in {blocks} blocks for {minibatches} minibatches"
            )
        return cls(chunks, chunk_steps, blocks, minibatches)

    def shuffled(self, generator: torch.Generator) -> Iterator[Tensor]:
        """Random tiles (m,) of each minibatch; every tile once."""
        order = torch.randperm(
            self.chunks * self.blocks, generator=generator, device=generator.device
        )
        yield from order.split(self.chunks * self.blocks // self.minibatches)

    def take(self, rows: Tensor, tiles: Tensor) -> Tensor:
        """(T, N, ...) -> (K, m W, ...): some tiles, side by side."""
        parts = rows.view(self.chunks, self.chunk_steps, self.blocks, -1, *rows.shape[2:])
        taken = (
            parts.transpose(1, 2).flatten(0, 1)[tiles]
            if self.blocks == 1
            else (parts.transpose(1, 2)[tiles // self.blocks, tiles % self.blocks])
        )
        return taken.transpose(0, 1).flatten(1, 2)

    def take_memory(self, memory: Tensor | None, tiles: Tensor) -> Tensor | None:
        """(C, G, N, D) -> (G, m W, D): the memory before those tiles."""
        if memory is None:
            return None
        _, layers, _, width = memory.shape
        parts = memory.view(self.chunks, layers, self.blocks, -1, width).transpose(1, 2)
        taken = parts[tiles // self.blocks, tiles % self.blocks]
        return taken.transpose(0, 1).flatten(1, 2)
