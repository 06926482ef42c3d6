"""The gate's report for people: Markdown and plots."""

from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rl_core.evaluation.figures import number, percent
from rl_core.evaluation.gate import GateReport
from rl_core.evaluation.verdict import verdict
from rl_core.trading.performance import Performance

Array = NDArray[np.float64]

NAMES = {
    "policy": "this policy",
    "teacher": "ensemble (teacher)",
    "buy_and_hold": "buy and hold",
    "equal_weight": "equal weight",
    "best_single_regime": "best single regime",
}


def markdown(report: GateReport) -> str:
    """The report as Markdown."""
    lines = [
        f"# Gate: {report.desk}",
        "",
        f"Policy `{report.policy[:12]}` on {report.data}, test span {report.test_start[:16]} to "
        f"{report.test_end[:16]}, {report.test_bars} bars.",
        "",
        f"**{verdict(report.model_dump())}**",
        "",
        "| check | verdict | detail |",
        "|---|---|---|",
        *(
            f"| {c.name} | {'pass' if c.passed else '**FAIL**'} | {c.detail} |"
            for c in report.checks
        ),
        "",
        "## On the test span, all costs paid",
        "",
        performance_table(report.performance),
        "",
        *(line for caveat in report.caveats for line in (f"> {caveat}", "")),
        "## Predicted against realised returns",
        "",
        *_prediction_table(report),
        "",
    ]
    return "\n".join(lines)


def performance_table(performance: dict[str, Performance]) -> str:
    """Accounts beside each other, as a Markdown table."""
    lines = [
        "| | total return | annual Sharpe (± s.e.) | max drawdown | round trips | win rate "
        "| costs paid |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, p in performance.items():
        sharpe = f"{number(p.sharpe)} ± {number(p.sharpe_standard_error)}"
        note = f" ({p.note})" if p.note else ""
        lines.append(
            f"| {NAMES.get(name, name)}{note} | {percent(p.total_return)} | {sharpe} "
            f"| {percent(p.max_drawdown)} | {p.round_trips} | {percent(p.win_rate)} "
            f"| {percent(p.costs_paid)} |"
        )
    return "\n".join(lines)


def _prediction_table(report: GateReport) -> list[str]:
    if not report.predictions:
        return ["The return heads were not trained: there are no predictions."]
    lines = [
        "| horizon | correlation | rank correlation | R² against zero | sd predicted "
        "| sd realised | beyond 0.1% |",
        "|---|---|---|---|---|---|---|",
    ]
    for horizon, m in report.predictions.items():
        lines.append(
            f"| {horizon} | {number(m.correlation, 3)} | {number(m.rank_correlation, 3)} "
            f"| {number(m.r2_against_zero, 4)} | {percent(m.prediction_sd, 3)} "
            f"| {percent(m.target_sd, 3)} | {percent(m.plain_threshold_share)} |"
        )
    return lines


def plot_predictions(path: Path, data: str, horizon: str, prediction: Array, target: Array) -> None:
    """Predicted against realised return: every row, and the mean of each tenth by prediction."""
    known = np.isfinite(target) & np.isfinite(prediction)
    p, y = 100 * prediction[known], 100 * target[known]
    deciles = np.array_split(np.argsort(p), 10)
    figure, axes = _axes(f"{data}: predicted against realised {horizon} return, test span")
    axes.scatter(p, y, s=4, alpha=0.2, color="tab:blue", label="each bar", linewidths=0)
    errors = [1.96 * y[rows].std() / np.sqrt(max(len(rows), 1)) for rows in deciles]
    axes.errorbar(
        [p[rows].mean() for rows in deciles], [y[rows].mean() for rows in deciles], yerr=errors,
        fmt="o-", color="tab:red", label="mean of each tenth, naive 95%",
    )  # fmt: skip
    axes.axline(
        (0, 0), slope=1, color="grey", linestyle="--", linewidth=0.8, label="perfect calibration"
    )
    axes.set_xlim(p.min(), p.max())
    axes.set_ylim(*np.quantile(y, [0.01, 0.99]))
    axes.set_xlabel("predicted, %")
    axes.set_ylabel("realised, % (1st to 99th percentile shown)")
    axes.legend(loc="upper left", fontsize=8)
    figure.savefig(path)


def plot_equity(path: Path, data: str, timestamps: pd.Series, equity: dict[str, Array]) -> None:
    """Equity of each account on the test span, all starting at 1."""
    figure, axes = _axes(f"{data}: equity on the test span, all costs paid")
    for name, curve in equity.items():
        axes.plot(timestamps, curve / curve[0], label=NAMES.get(name, name), linewidth=1.2)
    axes.axhline(1.0, color="grey", linewidth=0.6)
    axes.set_ylabel("equity / initial equity")
    axes.legend(fontsize=8)
    figure.autofmt_xdate()
    figure.savefig(path)


def _axes(title: str) -> tuple[Figure, Axes]:
    """A figure of its own: no display, no global state."""
    figure = Figure(figsize=(7.5, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=11)
    axes.grid(alpha=0.25)
    return figure, axes
