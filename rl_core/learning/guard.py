"""Bad numbers: a step whose loss or gradients are not finite changes nothing and is counted.

Everything here stays on the device; the host looks once an iteration, in `check`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from rl_core.base.errors import TollgateError

INITIAL_LOSS_SCALE = 2.0**16
STEPS_BEFORE_GROWTH = 2000


class Part(NamedTuple):
    """A group of parameters whose gradients are clipped together."""

    parameters: Sequence[nn.Parameter]
    max_norm: float


class StepGuard:
    """Takes the optimiser steps of one training, each whole or not at all.

    Args:
        causes: names of all losses and parts whose numbers are looked at.
        max_in_a_row: skipped steps before `check` gives up.
        device: of the training.
        scales_loss: for float16, whose small gradients underflow: a skipped step halves the scale,
            many good ones double it.
        share: what makes a count of bad numbers that of all processes.
    """

    def __init__(
        self,
        causes: Sequence[str],
        max_in_a_row: int,
        device: torch.device,
        *,
        scales_loss: bool = False,
        share: Callable[[Tensor], Tensor] = lambda flags: flags,
    ) -> None:
        self.causes = tuple(causes)
        self.max_in_a_row = max_in_a_row
        self._share = share
        self._scales_loss = scales_loss
        self.state = {
            "by_cause": torch.zeros(len(causes), dtype=torch.int64, device=device),
            "skipped": torch.zeros((), dtype=torch.int64, device=device),
            "in_a_row": torch.zeros((), dtype=torch.int64, device=device),
            "longest_row": torch.zeros((), dtype=torch.int64, device=device),
            "last_culprits": torch.zeros(len(causes), dtype=torch.bool, device=device),
            "good_in_a_row": torch.zeros((), dtype=torch.int64, device=device),
            "loss_scale": torch.full((), INITIAL_LOSS_SCALE if scales_loss else 1.0, device=device),
        }

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss, scaled if need be."""
        (loss * self.state["loss_scale"] if self._scales_loss else loss).backward()

    def step(
        self,
        losses: Mapping[str, Tensor],
        parts: Mapping[str, Part],
        optimisers: Sequence[torch.optim.Optimizer],
    ) -> dict[str, Tensor]:
        """Clip each part to its own norm and step all optimisers, or none of them.

        The optimisers are fused ones, which take the verdict as a tensor.

        Returns:
            Gradient norms before clipping, by part.
        """
        norms: dict[str, Tensor] = {}
        for name, part in parts.items():
            gradients = [p.grad for p in part.parameters if p.grad is not None]
            if self._scales_loss:
                for gradient in gradients:
                    gradient.div_(self.state["loss_scale"])
            norms[name] = nn.utils.get_total_norm(gradients)
        is_bad = self._count({**losses, **norms})
        for name, part in parts.items():
            nn.utils.clip_grads_with_norm_(part.parameters, part.max_norm, norms[name])
        for optimiser in optimisers:
            # the way in which torch's own GradScaler tells a fused optimiser to change nothing
            optimiser.found_inf = is_bad  # type: ignore[attr-defined]
            optimiser.step()
        return norms

    def _count(self, figures: Mapping[str, Tensor]) -> Tensor:
        """Count what is not finite; 1.0 if anything is."""
        flags = dict.fromkeys(self.causes, torch.zeros_like(self.state["last_culprits"][0]))
        flags |= {name: ~figure.detach().isfinite() for name, figure in figures.items()}
        bad = self._share(torch.stack([flags[name] for name in self.causes]))
        is_bad, state = bad.any(), self.state
        state["by_cause"] += bad
        state["skipped"] += is_bad
        state["in_a_row"].add_(1).mul_(is_bad)
        torch.maximum(state["longest_row"], state["in_a_row"], out=state["longest_row"])
        state["last_culprits"] = torch.where(is_bad, bad, state["last_culprits"])
        if self._scales_loss:
            state["good_in_a_row"].add_(1).mul_(~is_bad)
            grows = state["good_in_a_row"] == STEPS_BEFORE_GROWTH
            state["good_in_a_row"].mul_(~grows)
            state["loss_scale"].mul_(torch.where(is_bad, 0.5, torch.where(grows, 2.0, 1.0)))
        return is_bad.float()

    @property
    def skipped(self) -> int:
        """How many optimiser steps were not taken, by cause."""
        return int(self.state["skipped"])

    def skipped_by_cause(self) -> dict[str, int]:
        """In how many skipped steps each number was not finite; only those that ever were."""
        counts = zip(self.causes, self.state["by_cause"].tolist(), strict=True)
        return {name: count for name, count in counts if count}

    def check(self) -> None:
        """Look at the counters.

        Raises:
            TollgateError: `max_in_a_row` steps running were skipped; it names the culprits.
        """
        if int(self.state["longest_row"]) >= self.max_in_a_row:
            flags = zip(self.causes, self.state["last_culprits"].tolist(), strict=True)
            culprits = ", ".join(name for name, is_culprit in flags if is_culprit)
            raise TollgateError(
                f"loss and gradients must be finite, was not in {culprits} for "
                f"{int(self.state['longest_row'])} updates in a row"
            )
