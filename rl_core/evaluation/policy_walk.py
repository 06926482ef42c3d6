"""Walk a policy through a span of bars, one account, always the likeliest action.

The policy decides in the environment it was trained in; its decisions then go through the
backtest's engine, whose account must agree. Shapes: S bars of the span, H horizons.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from rl_core.backtest.engine import AccountConfig, Walk, walk_bars
from rl_core.backtest.preparation import PreparedMarket
from rl_core.backtest.records import walk_performance
from rl_core.envs.spot import SpotMarket, SpotParams, observe, open_accounts, step
from rl_core.models.actor_critic import ActorCritic
from rl_core.models.hybrid_action import most_likely_action
from rl_core.trading.accounts import BUY
from rl_core.trading.performance import Performance


@dataclass(frozen=True)
class PolicyDecisions:
    """What a policy decided at each bar of a span."""

    first_bar: int
    action: NDArray[np.int8]  # (S,)
    strength: NDArray[np.float64]  # (S,)
    states: NDArray[np.float32]  # (S, 34)
    predicted_returns: NDArray[np.float64]  # (S, H) fractions, before clipping
    equity: NDArray[np.float64]  # (S,) by the environment's own account
    memory: torch.Tensor | None  # (G, 1, D) of a recurrent policy after the last decision


@torch.no_grad()
def decide(
    model: ActorCritic, market: SpotMarket, params: SpotParams, first_bar: int, last_bar: int
) -> PolicyDecisions:
    """Trade one account from the close of `first_bar` to that of `last_bar`.

    Args:
        model: the policy.
        market: on the model's device; float64 prices for exact accounts.
        params: costs and rules; a broken rule does not stop the walk.
        first_bar: bar of the first decision.
        last_bar: bar of the last decision, which no longer fills.
    """
    model.eval()
    device = market.close.device
    bar = torch.tensor([first_bar], device=device)
    state = open_accounts(params, market, bar, torch.tensor([last_bar], device=device))
    rows, memory = [], None
    for t in range(first_bar, last_bar + 1):
        observation = observe(market, state)
        heads = model(observation, memory)
        memory = heads.memory
        action = most_likely_action(heads)
        returns = heads.returns * model.return_scale
        rows.append((action.category, action.strength.double(), observation, returns, state.equity))
        if t < last_bar:
            state = step(market, params, state, action.category, action.strength.double()).state
    category, strength, states, returns, equity = (
        torch.cat(column).cpu().numpy() for column in zip(*rows, strict=True)
    )
    return PolicyDecisions(
        first_bar, category.astype(np.int8), strength, states, returns.astype(np.float64), equity,
        memory,
    )  # fmt: skip


def span_walk(
    market: PreparedMarket,
    account: AccountConfig,
    first_bar: int,
    action: NDArray[np.int8],
    strength: NDArray[np.float64],
) -> tuple[Walk, Performance]:
    """Trade decisions (S,) from a fresh account at `first_bar` through the backtest's engine."""
    span = slice(first_bar, first_bar + len(action))
    bars = market.bars.iloc[span]
    walk = walk_bars(bars, action, strength, market.impact_scale[span], market.rates, account)
    return walk, walk_performance(bars, walk)


def buy_and_hold(
    num_bars: int, max_position: float
) -> tuple[NDArray[np.int8], NDArray[np.float64]]:
    """Decisions that buy once and then hold: (S,) actions and strengths."""
    action = np.zeros(num_bars, dtype=np.int8)
    action[0] = BUY
    return action, np.full(num_bars, max_position)
