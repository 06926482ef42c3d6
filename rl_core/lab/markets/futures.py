"""One-minute bars of a simulated index future. They are named simulated wherever they show.

What real ones are known for is there: sessions with holidays and a daily break, volume and
volatility that are high at the open and close of the stock market and low in between and at night,
calm and wild days, fat tails, overnight gaps, prices on ticks, and quarterly rolls to a contract
that trades elsewhere. On request the future is predictable from the past to a known degree.
Shapes: B bars, S sessions.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.units import NS_PER_MINUTE
from rl_core.lab.markets.planted import planted_returns
from rl_core.market.sessions import session_clock, trading_hours
from rl_core.market.settings import FuturesSimulation, SessionConfig

Array = NDArray[np.float64]
ROLL_DAYS_BEFORE = 8  # the third Friday of the quarter's last month, when a contract expires
MONTH_CODES = {3: "H", 6: "M", 9: "U", 12: "Z"}


def simulate_future(config: FuturesSimulation, sessions: SessionConfig) -> pd.DataFrame:
    """Bars that meet the contract, with the column `contract`.

    Args:
        config: what is simulated.
        sessions: when the market is open.
    """
    rng = np.random.default_rng(config.seed)
    ns = session_minutes(config, sessions)
    clock = session_clock(ns, np.zeros(len(ns), dtype=bool), sessions, NS_PER_MINUTE)
    day = clock.session
    is_wild = wild_days(config, int(day[-1]) + 1, rng)
    level = np.where(is_wild, 2.0, 1.0)
    level /= np.sqrt((level**2).mean())
    profile = intraday_profile(ns, clock.is_regular)
    sd = config.daily_volatility * np.sqrt(1 - config.overnight_share) * level[day] * profile
    sd /= np.sqrt((profile**2).sum() / (day[-1] + 1))  # a day's minutes add up to its variance
    shocks = rng.standard_t(5, len(ns)) / np.sqrt(5 / 3)  # fat tails, variance 1
    returns = sd * planted_returns(
        shocks,
        config.signal_r2,
        config.signal_half_life_minutes,
        is_reverting=config.is_reverting,
    )
    overnight_sd = config.daily_volatility * np.sqrt(config.overnight_share) * level
    gaps = np.where(clock.starts, (overnight_sd * rng.standard_normal(len(level)))[day], 0.0)
    gaps[0] = 0.0
    contract, basis = contracts(ns, day, config.roll_gap)
    close = np.log(config.first_price) + np.cumsum(gaps + returns)
    prices = {"open": close - returns, **extremes(close - returns, close, sd, rng), "close": close}
    scaled = {name: np.exp(log_price) * basis for name, log_price in prices.items()}
    volume = rng.lognormal(np.log(900 * profile / profile.mean() * level[day]), 0.5)
    return pd.DataFrame(
        {
            "timestamp": pd.to_datetime(ns, utc=True).as_unit("ns"),
            **on_ticks(scaled, config.tick_size),
            "volume": np.maximum(np.round(volume), 1.0),
            "contract": pd.Series(contract, dtype="str"),
        }
    )


def session_minutes(config: FuturesSimulation, sessions: SessionConfig) -> NDArray[np.int64]:
    """Every minute of the sessions, (B,)."""
    start = pd.Timestamp(config.start).tz_localize("UTC").as_unit("ns").value
    end = start + int(config.sessions * 1.6 + 14) * 86_400 * 10**9  # weekends and holidays included
    hours = trading_hours(sessions, np.array([start, end]), NS_PER_MINUTE)
    first = int(np.searchsorted(hours.open_ns, start - 86_400 * 10**9))
    chosen = slice(first, first + config.sessions)
    pairs = zip(hours.open_ns[chosen], hours.close_ns[chosen], strict=True)
    return np.concatenate([np.arange(begin, stop, NS_PER_MINUTE) for begin, stop in pairs])


def wild_days(config: FuturesSimulation, days: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which days are wild, (S,): a chain in which nine of ten days are like the one before."""
    draws = rng.random((2, days))
    wild = np.empty(days, dtype=bool)
    wild[0] = draws[1, 0] < config.wild_share
    for number in range(1, days):
        changes = draws[0, number] < 0.1
        wild[number] = draws[1, number] < config.wild_share if changes else wild[number - 1]
    return wild


def intraday_profile(ns: NDArray[np.int64], is_regular: NDArray[np.bool_]) -> Array:
    """Relative activity of each minute, (B,): a U over regular hours, a low level at night."""
    change = np.concatenate([[True], is_regular[1:] != is_regular[:-1]])
    run = np.cumsum(change) - 1
    length = np.bincount(run)[run]
    into = (np.arange(len(ns)) - np.flatnonzero(change)[run]) / length
    u_shape = 1.0 + 1.5 * np.exp(-into / 0.08) + 0.9 * np.exp(-(1 - into) / 0.06)
    return np.where(is_regular, u_shape, 0.35)


def contracts(
    ns: NDArray[np.int64], day: NDArray[np.int64], roll_gap: float
) -> tuple[NDArray[np.str_], Array]:
    """Name of each bar's contract, such as 2024H, and the factor of its price, (B,).

    Rolls fall on the first session eight days before expiry; each new contract trades higher.
    """
    opens = pd.to_datetime(ns[np.flatnonzero(np.diff(day, prepend=-1))], utc=True)
    after = opens + pd.Timedelta(days=ROLL_DAYS_BEFORE)
    names: list[str] = []
    for moment in after:
        year, month = moment.year, -(-moment.month // 3) * 3
        third_friday = pd.Timestamp(year, month, 1, tz="UTC") + pd.offsets.WeekOfMonth(
            week=2, weekday=4
        )
        if moment >= third_friday + pd.Timedelta(days=1):
            year, month = (year + 1, 3) if month == 12 else (year, month + 3)
        names.append(f"{year}{MONTH_CODES[month]}")
    number = np.cumsum([0, *(a != b for a, b in zip(names[1:], names[:-1], strict=True))])
    return np.array(names)[day], ((1 + roll_gap) ** number)[day]


def extremes(start: Array, end: Array, sd: Array, rng: np.random.Generator) -> dict[str, Array]:
    """Highest and lowest log price of Brownian motion between its ends, (B,) each.

    The maximum of a bridge is (a + b + sqrt((b - a)^2 - 2 sd^2 ln U)) / 2 with U uniform; high and
    low are drawn apart, although they depend on each other a little.

    Source: Glasserman 2003, Monte Carlo Methods in Financial Engineering, example 2.2.3
    """
    uniform = rng.random((2, len(start)))
    reach = np.sqrt((end - start) ** 2 - 2 * sd**2 * np.log(uniform))
    middle = start + end
    return {"high": (middle + reach[0]) / 2, "low": (middle - reach[1]) / 2}


def on_ticks(prices: dict[str, Array], tick: float) -> dict[str, Array]:
    """Prices rounded to ticks; high and low still contain open and close."""
    rounded = {
        name: np.maximum(np.round(price / tick), 1.0) * tick for name, price in prices.items()
    }
    inside = np.stack([rounded["open"], rounded["close"]])
    rounded["high"] = np.maximum(rounded["high"], inside.max(axis=0))
    rounded["low"] = np.minimum(rounded["low"], inside.min(axis=0))
    return {name: rounded[name] for name in ("open", "high", "low", "close")}
