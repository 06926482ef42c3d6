"""The market, the rules and the figures that every peer shares. Shapes: B bars, F features."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from rl_core.kinds.spot.env import SpotMarket, SpotParams
from rl_core.kinds.spot.settings import AccountConfig
from rl_core.learning.settings import WindowConfig
from rl_core.trading.terms import CostRates

BARS = 20_000
WINDOW = 128  # bars of an episode, which is then cut off
MARKET_FEATURES, OBSERVATION = 30, 34
HIDDEN = 128
RATES = CostRates(
    commission=0.001, price_cost=0.0006, max_impact=0.05, rebalance_band=0.1, borrow_per_bar=0.0
)
ACCOUNT = AccountConfig()
RULES = WindowConfig()
INITIAL_CASH = ACCOUNT.initial_cash
MIN_POSITION, MAX_POSITION = ACCOUNT.min_position, ACCOUNT.max_position
MAX_DRAWDOWN, REWARD_SCALE = RULES.max_drawdown, RULES.reward_scale

DISCOUNT, GAE_LAMBDA, CLIP, LEARNING_RATE = 0.99, 0.95, 0.2, 3e-4
ENTROPY, VALUE, GRADIENT_CLIP = 0.01, 0.5, 0.5


class Prices(NamedTuple):
    """A random market, in NumPy."""

    open: NDArray[np.float64]  # (B,)
    close: NDArray[np.float64]  # (B,)
    impact_scale: NDArray[np.float64]  # (B,)
    days: NDArray[np.float64]  # (B,)
    features: NDArray[np.float32]  # (B, F)


def random_prices(seed: int = 0) -> Prices:
    """A geometric random walk with 1% steps; each bar opens where the last one closed."""
    generator = np.random.default_rng(seed)
    walk = 100.0 * np.exp(np.cumsum(generator.normal(0.0, 0.01, BARS + 1)))
    return Prices(
        open=walk[:-1],
        close=walk[1:],
        impact_scale=np.zeros(BARS),
        days=np.arange(BARS) / 24.0,
        features=generator.standard_normal((BARS, MARKET_FEATURES), dtype=np.float32),
    )


def torch_market() -> tuple[SpotMarket, SpotParams]:
    """The same market and rules for the project's own `step`."""
    prices = random_prices()
    columns = {
        name: torch.tensor(column, dtype=torch.float32) for name, column in prices._asdict().items()
    }
    market = SpotMarket(half_spread=torch.zeros(BARS), **columns)
    return market, SpotParams(RATES, ACCOUNT, RULES)


def steps_per_second(work: Callable[[], int]) -> float:
    """Environment steps a second of work that returns how many it took."""
    started = time.perf_counter()
    steps = work()
    return steps / (time.perf_counter() - started)
