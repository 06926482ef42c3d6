"""prediction_validation, declared; torch is loaded by the build alone."""

from rl_core.base.checks import Check, CheckSpec
from rl_core.base.errors import validated
from rl_core.judging.figures import PredictionMetrics
from rl_core.judging.report import GateReport
from rl_core.judging.settings import SAFETY_CHECKS, SKILL_CHECKS, blocks_by_default
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext, Opened, Task
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.sections import ACCOUNT, LIMITS, MARKET
from rl_core.steps.step import Facts, Step
from rl_core.trading.performance import Performance

REPORT, REPORT_TEXT = "report.json", "report.md"


class GateFacts(Facts):
    """The figures of a judgement that people look at first."""

    is_safe: bool
    is_skilled: bool
    failed: list[str]
    verdict: str
    performance: dict[str, Performance]  # policy, teacher, benchmarks, on the test span
    predictions: dict[str, PredictionMetrics]  # by horizon


def build(task: Task) -> GateFacts:
    """Judge the policy on the test span."""
    from rl_core.steps.prediction_validation.gate import build as judge_policy

    return judge_policy(task)


def read_report(gate: Opened[GateFacts]) -> GateReport:
    """The sealed report of the gate."""
    return validated(GateReport, gate.read_json(REPORT), f"{REPORT} of {gate.seal.name}")


def judge(_context: DeskContext, gate: Opened[GateFacts]) -> list[Check]:
    """The checks of the sealed report; those of skill stop nobody from being served as shadow."""
    report = read_report(gate)
    skill = [] if report.skill is None else report.skill.checks
    return [*report.checks, *(check.model_copy(update={"is_blocking": False}) for check in skill)]


GATE = Step(
    name="prediction_validation",
    about="""The gate: what the policy shows on the untouched test span.

Two tiers. The safety checks block what comes next: without them a version is not served. The skill
checks warn: without them it is served as `shadow` and its vote weighs nothing. The report compares
the policy with its teacher, with holding and with the champion, all costs paid.""",
    facts=GateFacts,
    build=build,
    needs=(BARS, OFFLINE_DATASET, REGIMES, PPO),
    reads=(*MARKET, *ACCOUNT, "environment", "dataset.horizons", "bc", "gate"),
    ignores=LIMITS,
    checks=(
        *(CheckSpec(name, blocks_by_default(name), why) for name, why in SAFETY_CHECKS.items()),
        *(CheckSpec(name, False, why) for name, why in SKILL_CHECKS.items()),
    ),
    judge=judge,
    command="gate",
    technologies=("pytorch",),
)
