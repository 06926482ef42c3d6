"""What a portfolio desk may choose from: twelve factor regimes, or hand-written allocations.

A regime is a portfolio and the share of equity put into it; the rest is cash. A portfolio is a row
of weights a session, made from what is known at that session's close. Shapes: T sessions,
S stocks, P portfolios, A regimes.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, model_validator

from rl_core.errors import TollgateError
from rl_core.features.factors import FACTORS, Factors, SizeMeasure, exposures, top_share
from rl_core.features.handwritten import ETF_16, NAMES_24
from rl_core.market.panel import Listing

Array = NDArray[np.float64]
Allocations = Mapping[str, Mapping[str, float]]

ROUNDING = 1e-9
KEEP, CASH = "HOLD", "FULL_CASH"
HAND_WRITTEN: Mapping[str, Allocations] = {"etf_16": ETF_16, "names_24": NAMES_24}


@dataclass(frozen=True)
class Regime:
    """One thing to do with a portfolio."""

    name: str
    portfolio: str | None  # None keeps what is held
    invested: float  # share of equity that goes into the portfolio
    meaning: str

    @property
    def is_order(self) -> bool:
        """Does it trade at all?"""
        return self.portfolio is not None


# names of portfolios by rule have a space, which names of hand-written ones must not have
EQUAL = "all alike"
HALF = 0.5
TOP_SHARES: Mapping[str, tuple[str, float]] = {  # portfolio -> factor, share of the universe
    "momentum half": ("momentum", HALF),
    "low_vol half": ("low_vol", HALF),
    "quality half": ("quality", HALF),
    "size half": ("size", HALF),
    "momentum 30%": ("momentum", 0.3),
}
FACTOR_REGIMES = (
    Regime(KEEP, None, 0.0, "keep what is held"),
    Regime(CASH, EQUAL, 0.0, "sell everything"),
    Regime("DEFENSIVE", EQUAL, 0.5, "50% cash, 50% equal weight"),
    Regime("LIGHT_CASH", EQUAL, 0.75, "25% cash, 75% equal weight"),
    Regime("EQUAL_WEIGHT", EQUAL, 1.0, "every listed stock alike"),
    Regime("MOMENTUM", "momentum half", 1.0, "top half by 20-session return"),
    Regime("LOW_VOL", "low_vol half", 1.0, "top half by lowest 20-session volatility"),
    Regime("QUALITY", "quality half", 1.0, "top half by 20-session Sharpe ratio"),
    Regime("SIZE_SMALL", "size half", 1.0, "smallest half"),
    Regime("SAFE_MOMENTUM", "momentum half", 0.7, "30% cash, 70% momentum"),
    Regime("SAFE_QUALITY", "quality half", 0.7, "30% cash, 70% quality"),
    Regime("RISK_ON", "momentum 30%", 1.0, "top 30% by 20-session return"),
)
FACTOR_PLACES: Mapping[str, int] = {each.name: place for place, each in enumerate(FACTOR_REGIMES)}


def portfolio_places(menu: Sequence[Regime], portfolios: Sequence[str]) -> list[int]:
    """Place of each regime's portfolio; the first one's where a regime has none."""
    return [portfolios.index(regime.portfolio or portfolios[0]) for regime in menu]


class AllocationConfig(BaseModel):
    """Which regimes a desk has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    regimes: Literal["factors_12", "etf_16", "names_24", "own"] = "factors_12"
    own: dict[str, dict[str, float]] = Field(
        default_factory=dict, description="name -> symbol -> weight; the rest is cash"
    )
    size: SizeMeasure | Literal["auto"] = Field(
        default="auto", description="what SIZE_SMALL ranks by; auto: the best that the data has"
    )

    @model_validator(mode="after")
    def _allocations_are_possible(self) -> Self:
        if (self.regimes == "own") != bool(self.own):
            raise ValueError(
                f"own allocations must be given with regimes own and only then, was {self.regimes} "
                f"with {len(self.own)}"
            )
        for name, weights in self.own.items():
            if name == KEEP or not name.isidentifier():
                raise ValueError(
                    "own allocations must have names of letters, digits and _, other than HOLD, "
                    f"was {name!r}"
                )
            total = sum(weights.values())
            if min(weights.values(), default=0.0) < 0 or not total <= 1 + 1e-9:
                raise ValueError(f"weights of {name} must be >= 0 and sum to <= 1, was {weights}")
        return self

    @property
    def menu(self) -> tuple[Regime, ...]:
        """The regimes; their order is that of the actions, HOLD first."""
        if self.regimes == "factors_12":
            return FACTOR_REGIMES
        return (FACTOR_REGIMES[0], *(_hand_written(*each) for each in self._allocations.items()))

    @property
    def _allocations(self) -> Allocations:
        return self.own or HAND_WRITTEN.get(self.regimes, {})

    @property
    def portfolios(self) -> tuple[str, ...]:
        """Names of the portfolios: equal weight, those of the factors, then hand-written ones."""
        return (EQUAL, *TOP_SHARES, *self._allocations)

    def require_universe(self, symbols: Sequence[str]) -> None:
        """Refuse a universe without the stocks that hand-written allocations name.

        Raises:
            TollgateError: names those that are missing.
        """
        named = {symbol for weights in self._allocations.values() for symbol in weights}
        if missing := sorted(named - set(symbols)):
            raise TollgateError(
                f"allocations {self.regimes} must find their stocks in the universe, was without "
                f"{', '.join(missing)}"
            )

    def weights(self, factors: Factors, listed: Listing, symbols: Sequence[str]) -> Array:
        """Weights of each portfolio, (T, P, S); the rows of a portfolio sum to 1 or, in cash, less.

        A stock that is not listed has none: what a hand-written allocation gives it stays in cash.
        """
        by_rule = [_portfolio(name, factors, listed) for name in (EQUAL, *TOP_SHARES)]
        by_hand = [
            np.where(listed.is_listed, [weights.get(symbol, 0.0) for symbol in symbols], 0.0)
            for weights in self._allocations.values()
        ]
        return np.stack([*by_rule, *by_hand], axis=1)


def _hand_written(name: str, weights: Mapping[str, float]) -> Regime:
    parts = [f"{weight:.0%} {symbol}" for symbol, weight in weights.items()]
    cash = 1 - sum(weights.values())
    return Regime(
        name, name, 1.0, ", ".join([*parts, f"{cash:.0%} cash"] if cash > ROUNDING else parts)
    )


def _portfolio(name: str, factors: Factors, listed: Listing) -> Array:
    if name == EQUAL:
        return listed.is_listed / np.maximum(listed.is_listed.sum(axis=1, keepdims=True), 1)
    factor, share = TOP_SHARES[name]
    return top_share(factors, factor, share)


def factor_exposures(factors: Factors) -> NDArray[np.float32]:
    """How much of each factor a stock has, (T, F, S) in -1..1, by its rank."""
    return np.stack([exposures(factors, name) for name in FACTORS], axis=1)
