"""The skill tier on series whose truth is known: noise, honest forecasts, and forecasts that cheat.

Nothing is trained here: the statistics alone are tried, so that thousands of series take minutes.
Shapes: S bars of the test span.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from scipy.signal import lfilter
from scipy.stats import binomtest

from rl_core.judging.accounts import POLICY, TEACHER
from rl_core.judging.figures import SkillReport
from rl_core.judging.settings import (
    FORECAST_CHECKS,
    SKILL_CHECKS,
    GateConfig,
    SkillConfig,
)
from rl_core.judging.skill.forecast import ForecastEvidence
from rl_core.judging.skill.tier import SkillEvidence, judge_skill
from rl_core.judging.skill.trading import TradingEvidence
from rl_core.judging.statistics.forecasts import rank_ic
from rl_core.judging.statistics.selection import selection_risk

Array = NDArray[np.float64]

HORIZONS = {"1h": 1, "24h": 24}  # name -> bars
BARS_PER_YEAR = 365.25 * 24
RETURN_SD = 0.01
COST_RATE = 0.0002  # of what is traded
PERSISTENCE = 0.8  # of what is predictable, so that a position lasts some bars
NUM_CANDIDATES = 5
CHEATS = ("constant", "constant + dither", "sign flipped", "20 times too loud")
CHEATED_R2 = 0.05  # of the honest forecast that the cheats are made from


# honest forecasts (S, H), past returns over as many bars (S, H), generator -> forecasts (S, H)
Forecaster = Callable[[Array, Array, np.random.Generator], Array]


@dataclass(frozen=True)
class Kind:
    """A kind of forecast, and what the market lets be known."""

    name: str
    signal_r2: float  # of the next bar's return
    forecast: Forecaster
    is_skilled: bool  # should it pass?
    # truth, market and generator -> returns of its account; None trades by the forecast's sign
    account: Callable[[Array, Array, np.random.Generator], Array] | None = None


def _honest(truth: Array, _past: Array, _rng: np.random.Generator) -> Array:
    return truth


def _noise(truth: Array, _past: Array, rng: np.random.Generator) -> Array:
    """Uninformative AR(1) forecasts.

    Persistence is one of 0, 0.8 and 0.98, amplitude 1, 3 or 10% of the return's sd.
    """
    persistence, liveliness = rng.choice([0.0, 0.8, 0.98]), rng.choice([0.01, 0.03, 0.1])
    shocks = rng.standard_normal(truth.shape) * np.sqrt(1 - persistence**2)
    slow = np.asarray(lfilter([1.0], [1.0, -persistence], shocks, axis=0))
    return liveliness * RETURN_SD * slow


def _constant(truth: Array, _past: Array, _rng: np.random.Generator) -> Array:
    return np.full(truth.shape, 0.1 * RETURN_SD)


def _dither(truth: Array, _past: Array, rng: np.random.Generator) -> Array:
    """A constant that trembles enough for no two predictions to be equal."""
    return 0.1 * RETURN_SD * (1 + 0.2 * rng.standard_normal(truth.shape))


def _knowing(truth: Array, market: Array, _rng: np.random.Generator) -> Array:
    """Trades on what its forecasts do not say."""
    return traded(np.sign(truth[: len(market), 0]), market)


def _idle(_truth: Array, market: Array, rng: np.random.Generator) -> Array:
    """Long or short at random, and free of cost."""
    return np.sign(rng.standard_normal(len(market))) * market


KINDS = (
    Kind("noise", 0.0, _noise, is_skilled=False),
    Kind("constant", CHEATED_R2, _constant, is_skilled=False),
    Kind("constant + dither", CHEATED_R2, _dither, is_skilled=False),
    Kind("sign flipped", CHEATED_R2, lambda truth, _past, _rng: -truth, is_skilled=False),
    Kind("20 times too loud", CHEATED_R2, lambda truth, _past, _rng: 20 * truth, is_skilled=False),
    # where one half of the tier has nothing to object to, the other has to hold the rate alone
    Kind("noise, account that knows", CHEATED_R2, _noise, is_skilled=False, account=_knowing),
    Kind("honest, account at random", CHEATED_R2, _honest, is_skilled=False, account=_idle),
    Kind("past returns, reversed", 0.0, lambda _, past, _rng: -0.05 * past, is_skilled=False),
    Kind("honest, R2 = 1%", 0.01, _honest, is_skilled=True),
    Kind("honest, R2 = 5%", 0.05, _honest, is_skilled=True),
)


class Rate(BaseModel):
    """How often something happened, with its exact 95% interval (Clopper and Pearson 1934)."""

    model_config = ConfigDict(frozen=True)

    hits: int
    rounds: int
    rate: float
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, rounds: int) -> "Rate":
        """The rate of hits, with its interval."""
        interval = binomtest(hits, rounds).proportion_ci(0.95, method="exact")
        return cls(
            hits=hits, rounds=rounds, rate=hits / rounds, low=float(interval.low),
            high=float(interval.high),
        )  # fmt: skip


class KindResult(BaseModel):
    """One kind of forecast, judged many times."""

    model_config = ConfigDict(frozen=True)

    kind: str
    is_skilled: bool
    forecasts_pass: Rate  # the forecast part alone
    tier_passes: Rate
    checks_pass: dict[str, float]  # share by check


class Levels(BaseModel):
    """Rejection rates of single statistics under a true null."""

    model_config = ConfigDict(frozen=True)

    rank_ic_24h: Rate  # forecasts that know nothing, refused at a nominal 5%
    overfitting_noise: float  # mean probability of overfitting of trials that are alike
    overfitting_planted: float  # the same when one of them is better


def try_kind(name: str, series: int, test_bars: int) -> KindResult:
    """Judge many series of a kind; the same arguments give the same result.

    Args:
        name: of a kind of forecast.
        series: how many.
        test_bars: S.
    """
    kind = next(kind for kind in KINDS if kind.name == name)
    config = GateConfig(skill=SkillConfig(bootstrap_replications=499))
    reports: list[SkillReport] = [
        judge_skill(evidence_of(kind, seed, test_bars), config) for seed in range(series)
    ]
    passed: list[Mapping[str, bool]] = [{c.name: c.passed for c in r.checks} for r in reports]
    return KindResult(
        kind=kind.name,
        is_skilled=kind.is_skilled,
        forecasts_pass=Rate.of(sum(all(p[n] for n in FORECAST_CHECKS) for p in passed), series),
        tier_passes=Rate.of(sum(report.is_skilled for report in reports), series),
        checks_pass={n: sum(p[n] for p in passed) / series for n in SKILL_CHECKS},
    )


def evidence_of(kind: Kind, seed: int, test_bars: int) -> SkillEvidence:
    """One series: a market, forecasts of it, and an account that trades by their sign."""
    rng = np.random.default_rng([seed, round(1e4 * kind.signal_r2)])
    longest = max(HORIZONS.values())
    shocks = rng.standard_normal(test_bars + 2 * longest) * np.sqrt(1 - PERSISTENCE**2)
    known = RETURN_SD * np.sqrt(kind.signal_r2) * lfilter([1.0], [1.0, -PERSISTENCE], shocks)
    noise = RETURN_SD * np.sqrt(1 - kind.signal_r2) * rng.standard_normal(len(known))
    total = np.concatenate([[0.0], np.cumsum(known + noise)])
    now = np.arange(longest, longest + test_bars)  # known[now] is the mean of the bar to come
    spans = list(HORIZONS.values())
    targets = np.column_stack([total[now + bars] - total[now] for bars in spans])
    past = np.column_stack([total[now] - total[now - bars] for bars in spans])
    # the mean decays by `PERSISTENCE` a bar, so what is known of the sum is a multiple of it
    reach = [(1 - PERSISTENCE**bars) / (1 - PERSISTENCE) for bars in spans]
    truth = known[now, None] * np.array(reach)
    forecasts = kind.forecast(truth, past, rng)
    returns = np.diff(total)[longest:]
    market = returns[: test_bars - 1]

    def wandering() -> Array:
        """What an account earns that is long or short at random, for some time each."""
        shocks = rng.standard_normal(test_bars - 1)
        return traded(np.sign(lfilter([1.0], [1.0, -0.95], shocks)), market)

    own = traded(np.sign(forecasts[:-1, 0]), market)
    if kind.account is not None:
        own = kind.account(truth, market, rng)
    return SkillEvidence(
        ForecastEvidence(
            horizons=tuple(HORIZONS),
            overlap_bars=tuple(HORIZONS.values()),
            predictions=forecasts,
            targets=targets,
            train_means=rng.standard_normal(2) * RETURN_SD * np.array([1, 24]) / np.sqrt(14_000),
        ),
        TradingEvidence(
            returns={POLICY: own, TEACHER: wandering(), "buy_and_hold": market},
            bars_per_year=BARS_PER_YEAR,
            trials=1,
            trial_variance=None,
            candidates=np.column_stack([own, *(wandering() for _ in range(NUM_CANDIDATES - 1))]),
        ),
    )


def measure_levels(series: int, test_bars: int = 2000, trials: int = 10) -> Levels:
    """How often the 24h rank test is wrong at 5%, and what overfitting looks like.

    Args:
        series: of each kind.
        test_bars: S.
        trials: compared by cross-validation.
    """
    rng = np.random.default_rng(2026)
    hits, noise, planted = 0, [], []
    for seed in range(series):
        evidence = evidence_of(KINDS[0], 10_000 + seed, test_bars)
        forecasts = evidence.forecasts
        if forecasts.predictions is None:
            raise TypeError("a kind of forecast must have predictions")
        overlap = HORIZONS["24h"]
        p = rank_ic(forecasts.predictions[:, 1], forecasts.targets[:, 1], overlap).p_value
        hits += p <= 0.05
        alike = rng.standard_normal((test_bars, trials))
        noise.append(selection_risk(alike, 16).overfitting)
        alike[:, 0] += np.sqrt(CHEATED_R2)  # the Sharpe ratio per bar of who knows R2 = 5%
        planted.append(selection_risk(alike, 16).overfitting)
    return Levels(
        rank_ic_24h=Rate.of(hits, series),
        overfitting_noise=float(np.mean(noise)),
        overfitting_planted=float(np.mean(planted)),
    )


def traded(position: Array, returns: Array) -> Array:
    """Returns (S - 1,) of an account that holds a position over each bar and pays for changes."""
    return position * returns - COST_RATE * np.abs(np.diff(position, prepend=0.0))
