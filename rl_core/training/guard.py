"""Bad numbers: a step whose loss or gradients are not finite changes nothing and is counted."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from rl_core.errors import TollgateError


class StepGuard:
    """Decides about each optimiser step of one training."""

    def __init__(self, max_in_a_row: int) -> None:
        self.max_in_a_row = max_in_a_row
        self.skipped = 0
        self._in_a_row = 0

    def allows(self, figures: Mapping[str, Tensor]) -> bool:
        """Are all figures, a loss and gradient norms by name, finite?

        Raises:
            TollgateError: not for the `max_in_a_row`-th time running; it names the culprits.
        """
        if torch.stack([figure.detach() for figure in figures.values()]).isfinite().all():
            self._in_a_row = 0
            return True
        self.skipped += 1
        self._in_a_row += 1
        if self._in_a_row >= self.max_in_a_row:
            culprits = ", ".join(name for name, value in figures.items() if not value.isfinite())
            raise TollgateError(
                f"loss and gradients must be finite, was not in {culprits} for {self._in_a_row} "
                "updates in a row"
            )
        return False


def clip_gradients(
    parts: Mapping[str, tuple[Iterable[nn.Parameter], float]],
) -> dict[str, Tensor]:
    """Clip each part's gradients to its own norm; the norms before clipping, by part."""
    return {
        name: nn.utils.clip_grad_norm_(list(parameters), limit)
        for name, (parameters, limit) in parts.items()
    }
