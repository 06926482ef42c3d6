"""One decision of a policy at the close of the latest bar."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from rl_core.backtest.preparation import PreparedMarket
from rl_core.errors import TollgateError
from rl_core.features.regimes import VOLATILITY_REGIMES
from rl_core.models.actor_critic import Heads
from rl_core.models.hybrid_action import most_likely_action
from rl_core.models.policy_file import Policy
from rl_core.trading.accounts import NEVER_TRADED_DAYS, account_features

UNTRAINED = "the return head of this horizon was not trained"


@dataclass(frozen=True)
class AccountNow:
    """The account that asks: one with nothing but cash, unless told otherwise."""

    position: float = 0.0  # value held / equity
    days_since_trade: float = NEVER_TRADED_DAYS


def latest_state(market: PreparedMarket, account: AccountNow) -> NDArray[np.float32]:
    """The state at the last bar, (34,).

    Raises:
        TollgateError: too few bars for a complete state, or an impossible account.
    """
    if market.first_bar >= len(market.bars):
        raise TollgateError(
            f"bars must outlast the indicators' warm-up, was {len(market.bars)} bars"
        )
    if not -1 <= account.position <= 1 or not account.days_since_trade >= 0:
        raise TollgateError(
            "an account must have a position within -1..1 and days since its last trade >= 0, "
            f"was {account.position} and {account.days_since_trade}"
        )
    units = np.array([account.position])  # of equity 1 at price 1
    columns = account_features(
        1 - units, units, np.ones(1), np.array([account.days_since_trade]), np.tanh
    )
    return np.concatenate([market.features[-1], *columns]).astype(np.float32)


@torch.no_grad()
def decide_state(
    policy: Policy, state: NDArray[np.float32], memory: torch.Tensor | None = None
) -> dict[str, Any]:
    """A policy's answer to one state (34,).

    Args:
        policy: the one that is asked.
        state: at the close of the latest bar.
        memory: (G, 1, D) of a recurrent policy, of the bars before; None is none.

    Returns:
        `action`, `strength` in [0, 1] (0 for HOLD), `probabilities` by action,
        `predicted_return_<horizon>` as fractions or None, `reasons` for each None, and with a risk
        head `risk`, the probabilities of low, normal and high volatility to come.
    """
    heads = policy.model(torch.from_numpy(state).unsqueeze(0), memory)
    action = most_likely_action(heads)
    name = policy.spec.actions[int(action.category)]
    probabilities = heads.logits.softmax(dim=-1)[0].tolist()
    predicted = policy.model.predicted_returns(heads.returns)[0].tolist()
    returns: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for horizon, value in zip(policy.spec.horizons, predicted, strict=True):
        key = f"predicted_return_{horizon}"
        is_trained = horizon in policy.spec.trained_horizons
        returns[key] = value if is_trained else None
        if not is_trained:
            reasons[key] = UNTRAINED
    return {
        "action": name,
        "strength": float(action.strength) if name != "HOLD" else 0.0,
        "probabilities": dict(zip(policy.spec.actions, probabilities, strict=True)),
        **returns,
        **risk_probabilities(heads),
        "reasons": reasons,
    }


def risk_probabilities(heads: Heads) -> dict[str, Any]:
    """Probabilities of the volatility to come; nothing without a risk head."""
    if heads.risk is None:
        return {}
    return {
        "risk": dict(zip(VOLATILITY_REGIMES, heads.risk.softmax(dim=-1)[0].tolist(), strict=True))
    }
