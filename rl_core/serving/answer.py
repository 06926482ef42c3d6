"""One decision of a policy at the close of the latest bar."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.base.figures import flat
from rl_core.features.regimes import VOLATILITY_REGIMES
from rl_core.learning.models.actor_critic import PREDICTED_RETURN_LIMIT, Heads
from rl_core.learning.models.hybrid_action import most_likely_action
from rl_core.learning.models.policy_file import Policy

ALWAYS_ANSWERED = ("1h", "24h")  # so that whoever asks several desks finds the same names
UNTRAINED = "the return head of this horizon was not trained"
NOT_CALIBRATED = "no interval of this horizon was calibrated when the model was judged"


@torch.no_grad()
def decide_state(
    policy: Policy,
    state: NDArray[np.float32],
    memory: torch.Tensor | None = None,
    half_widths: Mapping[str, float] | None = None,
) -> dict[str, Any]:
    """A policy's answer to one state (F,).

    Args:
        policy: the one that is asked.
        state: at the close of the latest bar.
        memory: (G, 1, D) of a recurrent policy, of the bars before; None is none.
        half_widths: horizon -> half the width of the 90% interval, a fraction; None without.

    Returns:
        `action`, `strength` in [0, 1] (0 for HOLD, None where orders have none), `probabilities`
        by action, `predicted_return_<horizon>` as fractions or None, for every horizon of the desk
        and for 1h and 24h, with `predicted_return_<horizon>_interval` (low, high) beside each,
        `reasons` for each None, and with a risk head `risk`, the probabilities of low, normal and
        high volatility to come.

    Raises:
        TollgateError: a number of the answer is not finite.
    """
    heads = policy.model(torch.from_numpy(state).unsqueeze(0), memory)
    action = most_likely_action(heads)
    name, strength = policy.spec.actions[int(action.category)], float(action.strength)
    probabilities = heads.logits.softmax(dim=-1)[0].tolist()
    predicted = policy.model.predicted_returns(heads.returns)[0].tolist()
    returns: dict[str, float | list[float] | None] = {}
    reasons: dict[str, str] = {}
    for horizon, value in zip(policy.spec.horizons, predicted, strict=True):
        key = f"predicted_return_{horizon}"
        is_trained = horizon in policy.spec.trained_horizons
        returns[key] = value if is_trained else None
        half = (half_widths or {}).get(horizon) if is_trained else None
        returns[f"{key}_interval"] = None if half is None else interval(value, half)
        if not is_trained:
            reasons[key] = UNTRAINED
        if half is None and is_trained:
            reasons[f"{key}_interval"] = NOT_CALIBRATED
    for horizon in sorted(set(ALWAYS_ANSWERED) - set(policy.spec.horizons)):
        key = f"predicted_return_{horizon}"
        returns[key] = None
        reasons[key] = (
            f"this desk has no {horizon} horizon: it predicts {', '.join(policy.spec.horizons)}"
        )
    found = {
        "action": name,
        "strength": None if heads.strength is None else 0.0 if name == "HOLD" else strength,
        "probabilities": dict(zip(policy.spec.actions, probabilities, strict=True)),
        **returns,
        **risk_probabilities(heads),
        "reasons": reasons,
    }
    require_finite_answer(found)
    return found


def require_finite_answer(found: Mapping[str, Any]) -> None:
    """Refuse to hand out numbers that are none.

    Raises:
        TollgateError: names the first field that is NaN or infinite.
    """
    for name, value in flat(found).items():
        numbers = value if isinstance(value, list) else [value]
        if any(isinstance(each, float) and not math.isfinite(each) for each in numbers):
            raise TollgateError(f"a model must answer finite numbers, was {value} in {name}")


def interval(value: float, half_width: float) -> list[float]:
    """Ends of an interval around a prediction, clipped as the prediction is."""
    limit = PREDICTED_RETURN_LIMIT
    return [max(value - half_width, -limit), min(value + half_width, limit)]


def risk_probabilities(heads: Heads) -> dict[str, Any]:
    """Probabilities of the volatility to come; nothing without a risk head."""
    if heads.risk is None:
        return {}
    return {
        "risk": dict(zip(VOLATILITY_REGIMES, heads.risk.softmax(dim=-1)[0].tolist(), strict=True))
    }
