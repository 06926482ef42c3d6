"""Fit a network's input and target units on the training rows."""

import torch
from torch import Tensor

from rl_core.base.errors import TollgateError
from rl_core.learning.models.actor_critic import ActorCritic

_MAD_TO_SD = 1.4826  # of a normal distribution


def fit_units(model: ActorCritic, states: Tensor, returns: Tensor) -> None:
    """Set the standardiser and the return scale.

    Args:
        model: its buffers are written.
        states: (N, F) training rows.
        returns: (N, H), NaN is unknown.

    Raises:
        TollgateError: a horizon has no known or no varying target.
    """
    model.standardiser.fit(states)
    for horizon, column in enumerate(returns.T):
        known = column[~column.isnan()]
        scale = (
            _MAD_TO_SD * (known - known.median()).abs().median() if len(known) else torch.zeros(())
        )
        if not scale > 0:
            raise TollgateError(
                f"training targets must vary at every horizon, was a robust scale of "
                f"{float(scale)} at horizon number {horizon}"
            )
        model.return_scale[horizon] = scale
