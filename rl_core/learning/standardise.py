"""Fit a network's input and target units on the training rows."""

import torch
from torch import Tensor

from rl_core.base.errors import TollgateError
from rl_core.learning.models.actor_critic import ActorCritic

_MAD_TO_SD = 1.4826  # of a normal distribution


LEAST_SHRINKAGE = 0.05  # so that a head without skill on validation still says something


def shrink_heads(model: ActorCritic, standardised: Tensor, returns: Tensor) -> None:
    """Set how much each head is believed: the slope of returns on its forecasts, at most 1.

    A forecast that is twice too loud has a slope of a half. Least squares through the origin, since
    a forecast of zero says nothing; where no return is known a head stays as it is.

    Args:
        model: its buffer is written.
        standardised: (N, H) what the heads say of rows that they were not trained on.
        returns: (N, H) of the same rows, fractions; NaN is unknown.
    """
    for horizon in range(returns.shape[-1]):
        known = ~returns[:, horizon].isnan()
        said = (standardised[known, horizon] * model.return_scale[horizon]).double()
        came = returns[known, horizon].double()
        energy = said.square().sum()
        slope = (said * came).sum() / energy if energy > 0 else torch.ones_like(energy)
        model.return_shrinkage[horizon] = slope.clamp(LEAST_SHRINKAGE, 1.0).float()


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
