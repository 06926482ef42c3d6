"""The gate's plots. Shapes: S bars of the test span, H horizons, A actions."""

import itertools
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rl_core.judging.accounts import TITLES
from rl_core.judging.figures import ForecastSkill, RegimeFigures
from rl_core.judging.report import GateReport

Array = NDArray[np.float64]
MOST_POINTS = 4_000  # of a scatter or a curve: more cannot be told apart


def write_plots(
    directory: Path,
    report: GateReport,
    timestamps: pd.Series,
    equity: Mapping[str, Array],
    predictions: Array | None,
    targets: Array,
    actions: Mapping[str, Mapping[str, float]],
) -> None:
    """Every plot of a report.

    Args:
        directory: where they go.
        report: for names and figures.
        timestamps: (S,).
        equity: account -> (S,).
        predictions: (S, H), or None if the heads are untrained.
        targets: (S, H).
        actions: who and when -> action -> share.
    """
    plot_equity(directory / "equity.png", report.data, timestamps, equity)
    plot_actions(directory / "actions.png", report.data, actions)
    plot_regimes(directory / "regimes.png", report.data, report.regimes)
    if predictions is None or report.skill is None or not report.skill.forecasts:
        return  # a forecast that is not finite is refused, and there is nothing to draw
    for forecast, prediction, target in zip(
        report.skill.forecasts, predictions.T, targets.T, strict=True
    ):
        path = directory / f"predictions_{forecast.horizon}.png"
        plot_predictions(path, report.data, forecast, prediction, target)


def plot_equity(path: Path, data: str, timestamps: pd.Series, equity: Mapping[str, Array]) -> None:
    """Equity of each account, all starting at 1, above its drawdown."""
    figure = _figure(7.5, 5.5)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=[3, 1])
    when = date2num(timestamps.dt.tz_convert(None).to_numpy())
    for name, curve in equity.items():
        title, rows = TITLES.get(name, name), extremes(curve)
        drawdown = 100 * (curve / np.maximum.accumulate(curve) - 1)
        above.plot(when[rows], curve[rows] / curve[0], label=title, linewidth=1.2)
        below.plot(when[rows], drawdown[rows], linewidth=0.9)
    below.xaxis_date()
    above.axhline(1.0, color="grey", linewidth=0.6)
    above.set_ylabel("equity / initial equity")
    above.legend(fontsize=8)
    below.set_ylabel("drawdown, %")
    _titled(above, f"{data}: equity, all costs paid")
    below.grid(alpha=0.25)
    figure.autofmt_xdate()
    figure.savefig(path)


def extremes(curve: Array) -> NDArray[np.int64]:
    """Rows that draw a curve as all of them would: the lowest and highest of each stretch."""
    edges = np.unique(np.linspace(0, len(curve), MOST_POINTS // 4 + 1).astype(int))
    rows = [
        begin + at
        for begin, end in itertools.pairwise(edges)
        for at in (curve[begin:end].argmin(), curve[begin:end].argmax())
    ]
    return np.unique([0, *rows, len(curve) - 1])


def plot_predictions(
    path: Path, data: str, forecast: ForecastSkill, prediction: Array, target: Array
) -> None:
    """Predicted against realised return: every bar, and calibration by tenths of the predictions.

    The bars of a tenth are widened by how much targets overlap.
    """
    known = np.isfinite(target) & np.isfinite(prediction)
    p, y = 100 * prediction[known], 100 * target[known]
    figure = _figure(10, 4.5)
    left, right = figure.subplots(1, 2)
    _titled(left, f"{data}: predicted and realised {forecast.horizon} return, test span")
    _titled(right, "calibration by tenths of the predictions, 95%")
    left.set_ylabel("realised, % (1st to 99th percentile shown)")
    if len(p) >= 10:
        few = np.linspace(0, len(p) - 1, min(len(p), MOST_POINTS)).astype(int)
        left.scatter(p[few], y[few], s=4, alpha=0.2, color="tab:blue", linewidths=0)
        left.set_ylim(*np.quantile(y, [0.01, 0.99]))
        tenths = np.array_split(np.argsort(p), 10)
        overlap = max(len(y) / max(forecast.independent_targets, 1), 1.0)
        errors = [1.96 * y[rows].std() / np.sqrt(max(len(rows) / overlap, 1)) for rows in tenths]
        x, means = ([values[rows].mean() for rows in tenths] for values in (p, y))
        right.errorbar(x, means, yerr=errors, fmt="o-", color="tab:red", label="mean of each tenth")
    right.axline((0, 0), slope=1, color="grey", linestyle="--", linewidth=0.8, label="honest")
    if forecast.slope is not None:
        label = f"slope {forecast.slope:.2f}"
        centre = (float(p.mean()), float(y.mean()))
        right.axline(centre, slope=forecast.slope, color="tab:blue", linewidth=1, label=label)
    right.legend(loc="upper left", fontsize=8)
    for axes in (left, right):
        axes.set_xlabel("predicted, %")
    figure.savefig(path)


def plot_actions(path: Path, data: str, actions: Mapping[str, Mapping[str, float]]) -> None:
    """Shares of the actions beside each other."""
    figure = _figure(7.5, 3.5)
    axes = figure.subplots()
    names = list(next(iter(actions.values())))
    width = 0.8 / len(actions)
    for number, (who, shares) in enumerate(actions.items()):
        at = np.arange(len(names)) + (number - (len(actions) - 1) / 2) * width
        axes.bar(at, [100 * shares[name] for name in names], width, label=who)
    axes.set_xticks(np.arange(len(names)), names, fontsize=8, rotation=30 * (len(names) > 5))
    axes.set_ylabel("% of bars")
    axes.legend(fontsize=8)
    _titled(axes, f"{data}: actions")
    figure.savefig(path)


def plot_regimes(path: Path, data: str, regimes: Mapping[str, RegimeFigures]) -> None:
    """The policy's Sharpe ratio in each kind of market."""
    figure = _figure(7.5, 3.5)
    axes = figure.subplots()
    known = {name: (r.bars, r.sharpe) for name, r in regimes.items() if r.sharpe is not None}
    for at, (_, each) in enumerate(known.values()):
        error = [[each.sharpe - each.low], [each.high - each.sharpe]]
        axes.errorbar([at], [each.sharpe], yerr=error, fmt="o", color="tab:blue")
    labels = [f"{name.replace('_', ' ')}\n{bars:,} bars" for name, (bars, _) in known.items()]
    axes.set_xticks(range(len(known)), labels, fontsize=8)
    axes.axhline(0, color="grey", linewidth=0.6)
    axes.set_ylabel("annual Sharpe, 95%")
    _titled(axes, f"{data}: this policy by kind of market, test span")
    figure.savefig(path)


def _figure(width: float, height: float) -> Figure:
    """A figure of its own: no display, no global state."""
    return Figure(figsize=(width, height), dpi=110, layout="constrained")


def _titled(axes: Axes, title: str) -> None:
    axes.set_title(title, fontsize=10)
    axes.grid(alpha=0.25)
