"""What a portfolio desk may choose from: twelve factor regimes, or hand-written allocations.

A regime is a portfolio and the share of equity put into it; the rest is cash. A portfolio is a row
of weights a session, made from what is known at that session's close. Shapes: T sessions,
S stocks, P portfolios, A regimes.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rl_core.kinds.portfolio.factors import Factors, exposures, top_share
from rl_core.kinds.portfolio.settings import (
    EQUAL,
    FACTORS,
    TOP_SHARES,
    Allocation,
    AllocationConfig,
)
from rl_core.market.panel import Listing

Array = NDArray[np.float64]


def portfolio_places(menu: Sequence[Allocation], portfolios: Sequence[str]) -> list[int]:
    """Place of each regime's portfolio; the first one's where a regime has none."""
    return [portfolios.index(regime.portfolio or portfolios[0]) for regime in menu]


def portfolio_weights(
    config: AllocationConfig, factors: Factors, listed: Listing, symbols: Sequence[str]
) -> Array:
    """Weights of each portfolio, (T, P, S); the rows of a portfolio sum to 1 or, in cash, less.

    A stock that is not listed has none: what a hand-written allocation gives it stays in cash.
    """
    by_rule = [_portfolio(name, factors, listed) for name in (EQUAL, *TOP_SHARES)]
    by_hand = [
        np.where(listed.is_listed, [weights.get(symbol, 0.0) for symbol in symbols], 0.0)
        for weights in config.written.values()
    ]
    return np.stack([*by_rule, *by_hand], axis=1)


def _portfolio(name: str, factors: Factors, listed: Listing) -> Array:
    if name == EQUAL:
        return listed.is_listed / np.maximum(listed.is_listed.sum(axis=1, keepdims=True), 1)
    factor, share = TOP_SHARES[name]
    return top_share(factors, factor, share)


def factor_exposures(factors: Factors) -> NDArray[np.float32]:
    """How much of each factor a stock has, (T, F, S) in -1..1, by its rank."""
    return np.stack([exposures(factors, name) for name in FACTORS], axis=1)
