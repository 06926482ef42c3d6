"""Does it trade better than what it replaces? The second half of the skill tier.

Each check is held to `significance`, and all must pass: whichever null hypothesis is true, its own
check bounds how often the half is wrong (an intersection-union test), so none is corrected.

Shapes: S bars of the test span, T stretches and N candidates of the selection.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from rl_core.base.checks import Check, blocking, undecided
from rl_core.judging.accounts import BENCHMARKS, CHAMPION, POLICY, TEACHER, TITLES
from rl_core.judging.settings import TRADING_CHECKS, SkillConfig
from rl_core.judging.statistics.selection import selection_risk
from rl_core.judging.statistics.sharpe import (
    SharpeBootstrap,
    deflated_sharpe,
    expected_maximum,
    sharpe_of,
)
from rl_core.trading.performance import moments

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TradingEvidence:
    """Accounts on the same bars, all costs paid, and how the policy's was come by."""

    returns: Mapping[str, Array]  # account -> (S - 1,) per bar
    bars_per_year: float
    trials: int  # policies trained for this desk so far, this one included
    trial_variance: float | None  # of their Sharpe ratios per bar; None with fewer than two known
    candidates: Array | None  # (T, N) validation returns of those it was picked from


def trading_checks(
    evidence: TradingEvidence, names: list[str], bootstrap: SharpeBootstrap, config: SkillConfig
) -> list[Check]:
    """Every check of TRADING_CHECKS, in that order; `names` are the columns of the bootstrap."""
    num_bars = len(evidence.returns[POLICY])
    if num_bars < config.min_test_bars:
        detail = f"{num_bars} bars, needs {config.min_test_bars}"
        return [undecided(name, detail) for name in TRADING_CHECKS]
    rivals = [name for name in BENCHMARKS if name in names]
    return [
        _check_rivals("beats_the_teacher", [TEACHER], evidence, names, bootstrap, config),
        _check_rivals("beats_the_benchmarks", rivals, evidence, names, bootstrap, config),
        _check_champion(evidence, names, bootstrap, config),
        _check_deflation(evidence, config),
        _check_selection(evidence, config),
    ]


def _check_rivals(
    check: str,
    rivals: list[str],
    evidence: TradingEvidence,
    names: list[str],
    bootstrap: SharpeBootstrap,
    config: SkillConfig,
) -> Check:
    own = names.index(POLICY)
    p_values = {rival: bootstrap.p_better(own, names.index(rival)) for rival in rivals}
    said = [
        difference_in_words(rival, evidence, names, bootstrap) + f", p {p:.4f}"
        for rival, p in p_values.items()
    ]
    worst = max(p_values.values())
    detail = f"{'; '.join(said)}; limit {config.significance:.2f}"
    figures = {f"p_{rival}": p for rival, p in p_values.items()}
    return blocking(check, worst <= config.significance, detail, **figures)


def difference_in_words(
    rival: str, evidence: TradingEvidence, names: list[str], bootstrap: SharpeBootstrap
) -> str:
    """Annual Sharpe ratio less a rival's, with its interval."""
    annual = np.sqrt(evidence.bars_per_year)
    found, low, high = bootstrap.difference(names.index(POLICY), names.index(rival), 0.95)
    difference, low, high = (annual * each for each in (found, low, high))
    title = TITLES.get(rival, rival)
    return f"Sharpe {difference:+.2f} on {title} (95%: {low:.2f} to {high:.2f})"


def _check_champion(
    evidence: TradingEvidence, names: list[str], bootstrap: SharpeBootstrap, config: SkillConfig
) -> Check:
    check = "holds_against_the_champion"
    if CHAMPION not in names:
        return blocking(check, True, "there is no champion yet to hold against")
    own, champion = names.index(POLICY), names.index(CHAMPION)
    said = difference_in_words(CHAMPION, evidence, names, bootstrap)
    margin = 0.0
    if config.champion_rule == "not_worse":
        margin = config.champion_margin * max(float(bootstrap.found[champion]), 0.0)
    p = bootstrap.p_better(own, champion, margin)
    words = f"p of being worse by {margin * np.sqrt(evidence.bars_per_year):.2f} or more"
    detail = f"{said}, {words if margin else 'p of being no better'} {p:.4f}"
    limit = config.significance
    return blocking(check, p <= limit, f"{detail}, limit {limit:.2f}", p=p)


def _check_deflation(evidence: TradingEvidence, config: SkillConfig) -> Check:
    check, returns = "sharpe_survives_deflation", evidence.returns[POLICY]
    found, needed = sharpe_of(returns), 1 - config.significance
    if found is None:
        return blocking(check, False, "it did not trade, so it has no Sharpe ratio")
    skewness, kurtosis = moments(returns)
    # without two ratios to measure it by, trials vary as those that have no skill do
    variance = 1 / len(returns) if evidence.trial_variance is None else evidence.trial_variance
    probability = deflated_sharpe(
        found, len(returns), skewness, kurtosis, evidence.trials, variance
    )
    annual = np.sqrt(evidence.bars_per_year)
    lucky = annual * np.sqrt(variance) * expected_maximum(evidence.trials)
    detail = (
        f"Sharpe {found * annual:.2f}, of which {lucky:.2f} is what the best of {evidence.trials} "
        f"trial{'s' * (evidence.trials != 1)} has by chance: {probability:.4f} sure to be above "
        f"zero, at least {needed:.2f}"
    )
    return blocking(
        check, probability >= needed, detail, deflated_sharpe=probability, trials=evidence.trials
    )


def _check_selection(evidence: TradingEvidence, config: SkillConfig) -> Check:
    check, candidates = "selection_is_not_overfit", evidence.candidates
    if candidates is None:
        return undecided(check, "no candidate's validation returns are known")
    if candidates.shape[1] < 2:
        return blocking(check, True, "there was one candidate, so nothing was selected")
    if len(candidates) < 2 * config.overfitting_blocks:
        detail = f"{len(candidates)} validation rows, needs {2 * config.overfitting_blocks}"
        return undecided(check, detail)
    risk = selection_risk(candidates, config.overfitting_blocks)
    limit = config.max_overfitting_probability
    detail = (
        f"the best of {candidates.shape[1]} candidates falls below their median with probability "
        f"{risk.overfitting:.2f}, limit {limit:.2f}, and below zero with {risk.loss:.2f}, limit "
        f"{config.significance:.2f}; one of both must hold"
    )
    passed = risk.overfitting <= limit or risk.loss <= config.significance
    return blocking(
        check, passed, detail, overfitting_probability=risk.overfitting, loss_probability=risk.loss
    )
