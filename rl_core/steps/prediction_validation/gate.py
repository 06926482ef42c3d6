"""prediction_validation, built: the policy judged on the test span."""

import numpy as np

from rl_core.judging.accounts import CHAMPION, POLICY, TEACHER
from rl_core.judging.figures import SkillReport
from rl_core.judging.report import GateReport
from rl_core.judging.reports.verdict import verdict
from rl_core.judging.safety import judge_safety
from rl_core.judging.skill.tier import judge_skill
from rl_core.kinds.registry import AccountWalk
from rl_core.learning.models.policy_file import WEIGHTS, load_policy
from rl_core.offline.dataset import action_distribution
from rl_core.steps.bars import BARS, caveats, quality_of
from rl_core.steps.context import Task
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.ppo_policy.step import PPO, record_every_trial
from rl_core.steps.prediction_validation.champion import ChampionWalk, champion_on
from rl_core.steps.prediction_validation.judged import JudgedPolicy
from rl_core.steps.prediction_validation.reporting import (
    figures_by_regime,
    metrics_by_horizon,
    write_report,
)
from rl_core.steps.prediction_validation.safety_evidence import safety_evidence
from rl_core.steps.prediction_validation.skill_evidence import return_intervals, skill_evidence
from rl_core.steps.prediction_validation.step import GateFacts
from rl_core.steps.reading import read_dataset, read_market
from rl_core.steps.scoring import evaluate_policy, split_span
from rl_core.trading.performance import Performance, annual_factor, bar_returns

AGAINST_CHAMPION = "holds_against_the_champion"


def build(task: Task) -> GateFacts:
    """Judge the policy on the test span and seal the report, whatever the verdict."""
    context, sealed = task.context, task.input(PPO)
    record_every_trial(context)
    policy = load_policy(sealed, context.kind.state.names)
    market = read_market(context, task.input(BARS), policy.spec.thresholds)
    dataset = read_dataset(task.input(OFFLINE_DATASET))
    span = split_span(dataset, "test")
    decisions, own = evaluate_policy(
        context.kind, market, policy.model, span, memory_bars=policy.spec.memory_bars
    )
    judged = JudgedPolicy(context, task.inputs, policy, market, dataset, decisions)
    weights = sealed.seal.files[WEIGHTS]
    context.trials.judged(weights, own.performance.sharpe)
    rival = champion_on(task, weights, span, decisions)
    walks = accounts(judged, own, span[0], rival)
    report = judge_policy(judged, walks, rival, sealed.content)
    write_report(task.directory, judged, report, walks)
    return GateFacts(
        is_safe=report.is_safe,
        is_skilled=report.is_skilled,
        failed=[check.name for check in report.all_checks if not check.passed],
        verdict=verdict(report.model_dump(mode="json")),
        performance=report.performance,
        predictions=report.predictions,
    )


def accounts(
    judged: JudgedPolicy, own: AccountWalk, first: int, rival: ChampionWalk | None
) -> dict[str, AccountWalk]:
    """The policy's account through the test span, and all that it stands beside."""
    kind, test = judged.context.kind, judged.rows("test")
    action, strength = test["action"].to_numpy(np.int8), test["strength"].to_numpy(np.float64)
    walks = {
        POLICY: own,
        TEACHER: kind.walk(judged.market, first, action, strength),
        **kind.benchmarks(judged.market, first, len(test)),
    }
    if rival is not None and rival.walk is not None:
        walks[CHAMPION] = rival.walk
    return walks


def judge_policy(
    judged: JudgedPolicy, walks: dict[str, AccountWalk], rival: ChampionWalk | None, content: str
) -> GateReport:
    """Judge a policy in both tiers, on the test span."""
    desk, test = judged.desk, judged.rows("test")
    per_year = annual_factor(judged.market.ns[test["bar"].to_numpy()])
    regimes = figures_by_regime(judged, walks[POLICY], per_year)
    error = relative_error(walks[POLICY].equity, judged.decisions.equity)
    checks = judge_safety(safety_evidence(judged, regimes, error), desk.gate)
    is_safe = all(check.passed for check in checks if check.is_blocking)
    returns = {name: bar_returns(walk.equity) for name, walk in walks.items()}
    skill = judge_skill(skill_evidence(judged, returns, per_year), desk.gate)
    skill = speak_of_champion(skill, rival)
    return GateReport(
        desk=desk.name,
        data=desk.bars.market_name,
        policy=content,
        test_start=str(test["timestamp"].iloc[0]),
        test_end=str(test["timestamp"].iloc[-1]),
        test_bars=len(test),
        is_safe=is_safe,
        is_skilled=is_safe and skill.is_skilled,
        checks=checks,
        skill=skill,
        predictions=metrics_by_horizon(judged),
        intervals=return_intervals(judged, desk.gate.interval_coverage),
        performance=with_intervals(walks, skill),
        regimes=regimes,
        actions=action_distribution(judged.decisions.action, judged.policy.spec.actions),
        champion=None if rival is None else rival.comparison,
        caveats=caveats(quality_of(judged.input(BARS)), desk.quality),
    )


def speak_of_champion(skill: SkillReport, rival: ChampionWalk | None) -> SkillReport:
    """One that cannot be compared is not beaten; one of the same weights need not be."""
    if rival is None or rival.walk is not None:
        return skill
    reason = rival.comparison.reason
    detail = reason or f"the champion, {rival.comparison.version}, has the same weights"
    checks = [
        check.model_copy(update={"passed": not reason, "detail": detail})
        if check.name == AGAINST_CHAMPION
        else check
        for check in skill.checks
    ]
    return skill.with_checks(checks)


def with_intervals(walks: dict[str, AccountWalk], skill: SkillReport) -> dict[str, Performance]:
    """Each account's figures, the interval of its Sharpe ratio by bootstrap."""
    found: dict[str, Performance] = {}
    for name, walk in walks.items():
        low, high = skill.sharpe_intervals[name]
        known = walk.performance.sharpe is not None
        found[name] = walk.performance.model_copy(
            update={"sharpe_low": low, "sharpe_high": high} if known else {}
        )
    return found


def relative_error(values: np.ndarray, expected: np.ndarray) -> float:
    """Largest relative difference, 0 where both are 0."""
    return float((np.abs(values - expected) / np.maximum(np.abs(expected), 1e-9)).max())
