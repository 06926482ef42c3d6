"""prediction_validation, built: the policy judged on the test span."""

from rl_core.judging.report import GateReport
from rl_core.judging.reports.verdict import verdict
from rl_core.judging.safety import judge_safety
from rl_core.judging.skill.tier import judge_skill
from rl_core.kinds.base import AccountWalk
from rl_core.steps.context import Task
from rl_core.steps.ppo_policy.step import record_every_trial
from rl_core.steps.prediction_validation import reporting
from rl_core.steps.prediction_validation.accounts import accounts, with_intervals
from rl_core.steps.prediction_validation.champion import (
    ChampionWalk,
    champion_on,
    speak_of_champion,
)
from rl_core.steps.prediction_validation.intervals import return_intervals
from rl_core.steps.prediction_validation.judged import JudgedPolicy
from rl_core.steps.prediction_validation.safety_evidence import safety_evidence
from rl_core.steps.prediction_validation.skill_evidence import skill_evidence
from rl_core.steps.prediction_validation.step import GateFacts


def build(task: Task) -> GateFacts:
    """Judge the policy on the test span and seal the report, whatever the verdict."""
    record_every_trial(task.context)
    judged = JudgedPolicy.open(task.context, task.inputs)
    task.context.trials.judged(judged.weights, judged.account.performance.sharpe)
    rival = champion_on(judged)
    walks = accounts(judged, rival)
    report = judge_policy(judged, walks, rival)
    reporting.write_report(task.directory, judged, report, walks)
    return GateFacts(
        is_safe=report.is_safe,
        is_skilled=report.is_skilled,
        failed=[check.name for check in report.all_checks if not check.passed],
        verdict=verdict(report.model_dump(mode="json")),
        performance=report.performance,
        predictions=report.predictions,
    )


def judge_policy(
    judged: JudgedPolicy, walks: dict[str, AccountWalk], rival: ChampionWalk | None
) -> GateReport:
    """Judge a policy in both tiers, on the test span."""
    desk, test = judged.desk, judged.rows("test")
    regimes = reporting.figures_by_regime(judged)
    checks = judge_safety(safety_evidence(judged, regimes), desk.gate)
    is_safe = all(check.passed for check in checks if check.is_blocking)
    skill = judge_skill(skill_evidence(judged, walks), desk.gate)
    skill = speak_of_champion(skill, rival)
    return GateReport(
        desk=desk.name,
        data=desk.bars.market_name,
        policy=judged.content,
        test_start=str(test["timestamp"].iloc[0]),
        test_end=str(test["timestamp"].iloc[-1]),
        test_bars=len(test),
        is_safe=is_safe,
        is_skilled=is_safe and skill.is_skilled,
        checks=checks,
        skill=skill,
        predictions=reporting.metrics_by_horizon(judged),
        intervals=return_intervals(judged, desk.gate.interval_coverage),
        performance=with_intervals(walks, skill),
        regimes=regimes,
        actions=reporting.shares_taken(judged),
        champion=None if rival is None else rival.comparison,
        caveats=judged.caveats,
    )
