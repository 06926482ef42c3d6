"""Factor scores of a universe: momentum, calm, quality and size, known at each session's close.

A higher score is a stock that the factor prefers. A stock without enough history has NaN. Every
price enters as a ratio of adjusted closes, so that a split which rescales a stock's whole history
changes no score. Shapes: T sessions, S stocks.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from rl_core.base.errors import TollgateError
from rl_core.kinds.portfolio.settings import SizeMeasure
from rl_core.market.panel import Listing, Panel
from rl_core.market.rolling import exact_trailing_mean, exact_trailing_mean_square, row_medians

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

WINDOW = 20  # sessions of every factor
GROWTH_WINDOW = 200  # sessions of `inverse_growth`
# measure -> sets of columns, each of which is enough; in the order in which `auto` looks. Adjusted
# closes are in none of them: they know of later splits and dividends.
SIZE_NEEDS: dict[SizeMeasure, tuple[tuple[str, ...], ...]] = {
    "market_value": (("market_value",),),
    "dollar_volume": (("traded_value",), ("volume", "unadjusted_close")),
    "inverse_growth": ((),),
    "inverse_price": (("unadjusted_close",),),
}


@dataclass(frozen=True)
class Factors:
    """Scores and what they are made of, each (T, S) float64."""

    scores: dict[str, Array]  # by factor; NaN is unknown
    places: dict[str, NDArray[np.int32]]  # by factor; 0 is the highest score, see `ranks`
    returns: Array  # since the session before; 0 where a listed stock did not trade
    volatility: Array  # sd of 20 returns; NaN is unknown
    age: NDArray[np.int64]  # sessions since the stock was listed; -1 while it is not


def compute_factors(panel: Panel, listed: Listing, size: SizeMeasure) -> Factors:
    """All four scores.

    Momentum is the return over 20 sessions, low_vol minus the standard deviation of its 20 daily
    returns, quality their mean over it. A stock whose price has not moved in 20 sessions is not
    calm but dead: its volatility and quality are unknown.
    """
    price, age = listed.price, listing_age(listed.is_listed)
    returns = np.zeros_like(price)
    returns[1:] = np.where(age[1:] > 0, price[1:] / price[:-1] - 1, 0.0)
    is_known = age >= WINDOW
    mean = exact_trailing_mean(returns, WINDOW)
    deviation = np.sqrt(exact_trailing_mean_square(returns, mean, WINDOW))
    volatility = np.where(is_known & (deviation > 0), deviation, np.nan)
    momentum = np.full_like(price, np.nan)
    momentum[WINDOW:] = price[WINDOW:] / price[:-WINDOW] - 1
    scores = {
        "momentum": np.where(is_known, momentum, np.nan),
        "low_vol": -volatility,
        "quality": mean / volatility,
        "size": np.where(is_known, _smallness(panel, listed, age, size), np.nan),
    }
    return Factors(
        scores=scores,
        places={name: ranks(score) for name, score in scores.items()},
        returns=returns,
        volatility=volatility,
        age=age,
    )


def listing_age(is_listed: Flags) -> NDArray[np.int64]:
    """Sessions since each stock was listed, (T, S): 0 on its first day, -1 while it is not."""
    row = np.arange(len(is_listed))[:, None]
    last_out = np.maximum.accumulate(np.where(is_listed, -1, row), axis=0)
    return np.where(is_listed, row - last_out - 1, -1)


def pick_size(wanted: SizeMeasure | Literal["auto"], panel: Panel) -> SizeMeasure:
    """The measure of size that the data allows; `auto` takes the best there is.

    Raises:
        TollgateError: the one that is wanted needs columns which the source has not.
    """
    possible: list[SizeMeasure] = [
        name
        for name, ways in SIZE_NEEDS.items()
        if any(set(needs) <= set(panel.measures) for needs in ways)
    ]
    if wanted == "auto":
        return possible[0]
    if wanted not in possible:
        ways = " or ".join(" and ".join(needs) for needs in SIZE_NEEDS[wanted])
        raise TollgateError(
            f"allocations.size {wanted} must find {ways} in the panel, was without (adjusted "
            "closes cannot stand in, since they know of later splits and dividends): possible here "
            f"are {', '.join(possible)}"
        )
    return wanted


def dollar_volume(panel: Panel, listed: Listing, age: NDArray[np.int64]) -> Array:
    """Mean value traded over 20 sessions, or since the stock was listed, (T, S); 0 where none was.

    Raises:
        TollgateError: the source does not tell it.
    """
    if "traded_value" in panel.measures:
        value = _last_known(panel.measures["traded_value"])
    elif {"volume", "unadjusted_close"} <= set(panel.measures):
        value = _last_known(panel.measures["volume"] * panel.measures["unadjusted_close"])
    else:
        raise TollgateError(
            "the value traded must be known from traded_value, or volume and unadjusted_close, was "
            f"neither in a panel of {', '.join(panel.measures)}"
        )
    days = np.clip(age + 1, 1, WINDOW)
    rows = np.minimum(np.arange(1, len(age) + 1), WINDOW)[:, None]
    traded = np.where(listed.trades, np.nan_to_num(value), 0.0)
    return exact_trailing_mean(traded, WINDOW) * rows / days


def _smallness(panel: Panel, listed: Listing, age: NDArray[np.int64], size: SizeMeasure) -> Array:
    """Minus the logarithm of how large a stock is, (T, S)."""
    row = np.arange(len(age))[:, None]
    with np.errstate(divide="ignore"):
        match size:
            case "market_value":
                large = _last_known(panel.measures["market_value"])
            case "dollar_volume":
                large = dollar_volume(panel, listed, age)
            case "inverse_price":
                large = _last_known(panel.measures["unadjusted_close"])
            case (
                "inverse_growth"
            ):  # over a fixed time, so that it does not matter where a file begins
                before = row - np.clip(age, 0, GROWTH_WINDOW - 1)
                large = listed.price / np.take_along_axis(listed.price, before, axis=0)
        score = -np.log(large)
    return np.where(np.isfinite(score), score, np.nan)


def volatility_or_median(factors: Factors) -> Array:
    """Volatility of each stock, the universe's median where its own is not yet known, (T, S)."""
    return np.where(
        np.isfinite(factors.volatility),
        factors.volatility,
        row_medians(factors.volatility)[:, None],
    )


def _last_known(values: Array) -> Array:
    row = np.where(np.isfinite(values), np.arange(len(values))[:, None], 0)
    return np.take_along_axis(values, np.maximum.accumulate(row, axis=0), axis=0)


def ranks(score: Array) -> NDArray[np.int32]:
    """Place of each stock by its score, (T, S): 0 is the highest; NaN come last.

    Of equal scores the one that comes first in the alphabet leads.
    """
    order = np.argsort(-score, axis=1, kind="stable")  # NaN sort to the end
    places = np.empty(score.shape, dtype=np.int32)
    every = np.broadcast_to(np.arange(score.shape[1], dtype=np.int32), score.shape)
    np.put_along_axis(places, order, every, axis=1)
    return places


def top_share(factors: Factors, name: str, share: float) -> Array:
    """Equal weights of the best `share` of the stocks with a score, (T, S); rows sum to 1 or 0.

    Args:
        factors: of the universe.
        name: of the factor.
        share: of the stocks' number, rounded up: the top half of 5 stocks is 3 of them.
    """
    place, is_known = factors.places[name], np.isfinite(factors.scores[name])
    number = np.ceil(is_known.sum(axis=1, keepdims=True) * share - 1e-9)
    return np.where(is_known & (place < number), 1 / np.maximum(number, 1), 0.0)


def exposures(factors: Factors, name: str) -> NDArray[np.float32]:
    """Rank as an exposure, (T, S): 1 is the highest score, -1 the lowest, 0 unknown."""
    place, is_known = factors.places[name], np.isfinite(factors.scores[name])
    last = is_known.sum(axis=1, keepdims=True) - 1
    spread = 1 - 2 * place / np.maximum(last, 1)
    return np.where(is_known & (last > 0), spread, 0.0).astype(np.float32)
