"""What a walk forward found: models, report and plot. Shapes: T bars of a stitched path."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.dates import date2num
from matplotlib.figure import Figure
from numpy.typing import NDArray

from rl_core.base.figures import percent
from rl_core.base.markdown import table
from rl_core.judging.accounts import POLICY, TITLES
from rl_core.judging.figures import SeedSummary
from rl_core.judging.statistics.seeds import summarise_seeds
from rl_core.judging.statistics.sharpe import bootstrap_sharpes
from rl_core.steps.walk_forward.figures import FoldFigures, StitchedFigures, WalkForwardReport

Array = NDArray[np.float64]


def stitch(
    curves: Mapping[str, pd.Series], bars_per_year: float, replications: int, seed: int
) -> dict[str, StitchedFigures]:
    """Figures of accounts whose returns (T,) lie on the same bars."""
    returns = np.column_stack([curve.to_numpy() for curve in curves.values()])
    bootstrap = bootstrap_sharpes(returns, replications, seed)
    annual = np.sqrt(bars_per_year)
    found: dict[str, StitchedFigures] = {}
    for column, name in enumerate(curves):
        equity = np.cumprod(1 + returns[:, column])
        low, high = bootstrap.interval(column, 0.95)
        peaks = np.maximum.accumulate(np.maximum(equity, 1.0))
        found[name] = StitchedFigures(
            total_return=float(equity[-1] - 1),
            sharpe=float(bootstrap.found[column] * annual),
            sharpe_low=low * annual,
            sharpe_high=high * annual,
            max_drawdown=float((1 - equity / peaks).max()),
        )
    return found


def policies(stitched: Mapping[str, StitchedFigures]) -> list[str]:
    """The accounts that are the desk's own, one for each path and seed."""
    return [name for name in stitched if name.startswith(POLICY)]


def over_seeds(stitched: Mapping[str, StitchedFigures]) -> SeedSummary | None:
    """Interquartile mean over the seeds of the policies' Sharpe ratios, paths averaged first."""
    by_seed: dict[str, list[float]] = {}
    for name in policies(stitched):
        by_seed.setdefault(name.split(", path")[0], []).append(stitched[name].sharpe)
    return summarise_seeds([float(np.mean(paths)) for paths in by_seed.values()])


def pooled_coverage(folds: Sequence[FoldFigures]) -> dict[str, float]:
    """Horizon -> share of all known targets that their interval held."""
    horizons = {horizon for fold in folds for horizon in fold.coverage}
    held: dict[str, float] = {}
    for horizon in sorted(horizons):
        known = [
            (f.coverage[horizon], f.known_targets[horizon]) for f in folds if horizon in f.coverage
        ]
        held[horizon] = sum(c * n for c, n in known) / max(sum(n for _, n in known), 1)
    return held


def verdict(report: WalkForwardReport) -> str:
    """What all folds show together, in plain words."""
    others = ", ".join(
        f"{TITLES.get(name, name)} {figures.sharpe:.2f}"
        for name, figures in report.stitched.items()
        if not name.startswith(POLICY)
    )
    own = report.policy_sharpe
    if own is None:
        alone = ", ".join(
            f"{report.stitched[n].sharpe:.2f} (95%: {report.stitched[n].sharpe_low:.2f} to "
            f"{report.stitched[n].sharpe_high:.2f})"
            for n in policies(report.stitched)
        )
        return f"Out of sample the policy's Sharpe ratio is {alone}; {others}."
    return (
        f"Out of sample the policy's Sharpe ratio is {own.iqm:.2f}, interquartile mean of "
        f"{own.seeds} trainings (bootstrap over them: {own.low:.2f} to {own.high:.2f}); {others}."
    )


def markdown(report: WalkForwardReport) -> str:
    """The report as Markdown, without its plot."""
    lines = [
        f"# Walk forward: {report.desk}, {report.scheme}",
        "",
        f"**{verdict(report)}**",
        "",
        *table(
            (
                "account, all folds",
                "total return",
                "annual Sharpe (95%, bootstrap)",
                "max drawdown",
            ),
            [
                (
                    TITLES.get(name, name),
                    percent(s.total_return),
                    f"{s.sharpe:.2f} ({s.sharpe_low:.2f} to {s.sharpe_high:.2f})",
                    percent(s.max_drawdown),
                )
                for name, s in report.stitched.items()
            ],
        ),
        "",
        f"Rows whose target reaches another split: {report.overlapping_labels}. "
        + "; ".join(
            f"{report.promised:.0%} intervals held {c:.1%} at {h}"
            for h, c in report.coverage.items()
        ),
        "",
        *(
            [
                f"{report.folds_of_other_code} of {len(report.folds)} folds were made by another "
                "state of the library's code and kept: delete them in data/walk_forward to walk "
                "them again.",
                "",
            ]
            if report.folds_of_other_code
            else []
        ),
        *fold_table(report.folds),
        "",
    ]
    return "\n".join(lines)


def fold_table(folds: Sequence[FoldFigures]) -> list[str]:
    """A table with a line for each fold."""
    names = [name for name in folds[0].sharpes if all(name in each.sharpes for each in folds)]
    sharpes = [f"Sharpe of {TITLES.get(name, name)} (95%, standard error)" for name in names]
    return table(
        ("fold", "seed", "trained on", "tested on", "bars", *sharpes),
        [
            (
                f.fold,
                f.seed,
                f"{f.train_start[:10]} to {f.train_end[:10]}",
                f"{f.test_start[:10]} to {f.test_end[:10]}",
                f.test_bars,
                *(f.sharpes[name] for name in names),
            )
            for f in folds
        ],
    )


def plot(path: Path, report: WalkForwardReport, curves: Mapping[str, pd.Series]) -> None:
    """Stitched equity of all accounts, the borders of the folds dotted."""
    figure = Figure(figsize=(7.5, 4.5), dpi=110, layout="constrained")
    axes = figure.subplots()
    own = policies(report.stitched)
    for name, curve in curves.items():
        is_own = name in own
        axes.plot(
            curve.index, np.cumprod(1 + curve.to_numpy()), linewidth=0.9 if is_own else 1.4,
            color="tab:blue" if is_own else None, alpha=0.6 if is_own else 1.0,
            label="this policy, each seed" if name == own[0] else None if is_own
            else TITLES.get(name, name),
        )  # fmt: skip
    for begin in sorted({fold.test_start for fold in report.folds}):
        axes.axvline(
            float(date2num(pd.Timestamp(begin))), color="grey", linestyle=":", linewidth=0.6
        )
    axes.axhline(1.0, color="grey", linewidth=0.6)
    axes.set_title(f"{report.data}: walk forward ({report.scheme}), all costs paid", fontsize=10)
    axes.set_ylabel("equity / initial equity")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8)
    figure.autofmt_xdate()
    figure.savefig(path)
