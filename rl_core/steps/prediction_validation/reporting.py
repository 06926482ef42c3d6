"""The figures of a gate report that judge nothing, and its files."""

from pathlib import Path

import numpy as np

from rl_core.base.files import write_json
from rl_core.judging.figures import PredictionMetrics, RegimeFigures
from rl_core.judging.metrics import prediction_metrics
from rl_core.judging.report import GateReport
from rl_core.judging.reports.gate import markdown
from rl_core.judging.reports.plots import write_plots
from rl_core.judging.stress import regime_figures, regimes_of
from rl_core.kinds.base import AccountWalk
from rl_core.offline.dataset import action_distribution
from rl_core.steps.prediction_validation.judged import JudgedPolicy
from rl_core.steps.prediction_validation.step import REPORT, REPORT_TEXT
from rl_core.trading.performance import bar_returns


def figures_by_regime(judged: JudgedPolicy) -> dict[str, RegimeFigures]:
    """The policy in each kind of market."""
    test = judged.rows("test")
    regimes = regimes_of(
        test["regime"].to_numpy(np.int8),
        test["adx"].to_numpy(np.float64),
        judged.policy.spec.thresholds.trending_adx,
    )
    decisions = judged.decisions
    return regime_figures(
        regimes, decisions.action, judged.policy.spec.actions, judged.predictions,
        bar_returns(judged.account.equity), judged.bars_per_year,
    )  # fmt: skip


def metrics_by_horizon(judged: JudgedPolicy) -> dict[str, PredictionMetrics]:
    """Prediction metrics; empty where predictions are missing or not finite."""
    predictions = judged.predictions
    if predictions is None or not np.isfinite(predictions).all():
        return {}
    return {
        horizon: prediction_metrics(prediction, target)
        for horizon, prediction, target in zip(
            judged.policy.spec.horizons, predictions.T, judged.targets.T, strict=True
        )
    }


def shares_taken(judged: JudgedPolicy) -> dict[str, int]:
    """How often the policy chose which action."""
    return action_distribution(judged.decisions.action, judged.policy.spec.actions)


def write_report(
    directory: Path, judged: JudgedPolicy, report: GateReport, walks: dict[str, AccountWalk]
) -> None:
    """The report for machines and for people, with its plots."""
    write_json(directory / REPORT, report.model_dump(mode="json"))
    (directory / REPORT_TEXT).write_text(markdown(report))
    write_plots(
        directory,
        report,
        judged.rows("test")["timestamp"],
        {name: walk.equity for name, walk in walks.items()},
        judged.predictions,
        judged.targets,
        action_shares(judged),
    )


def action_shares(judged: JudgedPolicy) -> dict[str, dict[str, float]]:
    """How often which action was chosen: by the policy, and by its teacher in both spans."""
    names = judged.policy.spec.actions
    taken = {
        "this policy, test": judged.decisions.action,
        "teacher, test": judged.rows("test")["action"],
        "teacher, train": judged.rows("train")["action"],
    }
    return {
        who: {name: count / len(actions) for name, count in counts.items()}
        for who, actions in taken.items()
        for counts in [action_distribution(actions, names)]
    }
