"""The skill tier: what separates a champion from a model that was lucky.

A champion needs both halves, forecasts (`forecast_skill`) and trading (`trading_skill`). A model
that has no skill in one half passes that half at most at `significance`, whatever it does in the
other, so the tier is at most as often wrong as the half whose null hypothesis is true: an
intersection-union test (Berger 1982).
"""

from dataclasses import dataclass

import numpy as np

from rl_core.judging.figures import SkillReport, verdict_of
from rl_core.judging.settings import GateConfig
from rl_core.judging.skill.forecast import (
    ForecastEvidence,
    best_of,
    forecast_checks,
    judge_forecasts,
)
from rl_core.judging.skill.trading import TradingEvidence, trading_checks
from rl_core.judging.statistics.sharpe import bootstrap_sharpes


@dataclass(frozen=True)
class SkillEvidence:
    """What the skill tier looks at; all of it out of sample."""

    forecasts: ForecastEvidence
    trading: TradingEvidence


def judge_skill(evidence: SkillEvidence, config: GateConfig) -> SkillReport:
    """Every check of SKILL_CHECKS, in that order, and what they add up to."""
    skill = config.skill
    forecasts = judge_forecasts(evidence.forecasts, skill)
    best, trading = best_of(forecasts), evidence.trading
    names = list(trading.returns)
    bootstrap = bootstrap_sharpes(
        np.column_stack(list(trading.returns.values())), skill.bootstrap_replications, skill.seed
    )
    checks = [
        *forecast_checks(best, len(evidence.forecasts.horizons), skill),
        *trading_checks(trading, names, bootstrap, skill),
    ]
    checks = [  # a setting may forgive what was found, never that nothing could be found
        each.model_copy(update={"is_blocking": each.is_undecided or config.blocks(each.name)})
        for each in checks
    ]
    annual = np.sqrt(trading.bars_per_year)
    intervals = {name: bootstrap.interval(k, 0.95) for k, name in enumerate(names)}
    return SkillReport(
        verdict=verdict_of(checks),
        checks=checks,
        horizon=None if best is None else best.horizon,
        forecasts=forecasts,
        trials=trading.trials,
        sharpe_intervals={n: (low * annual, high * annual) for n, (low, high) in intervals.items()},
        block_bars=bootstrap.block_bars,
        significance=skill.significance,
    )
