"""walk_forward: the whole procedure on one fold after the other, each trained anew.

Folds end before the gate's test span, which nothing but the gate reads, so what is chosen by
walking forward can still be tested. Nothing here is judged by the gate or counted as a trial: it
measures the procedure, not a model.
"""

from collections.abc import Callable, Sequence
from pathlib import Path

import pandas as pd
import torch

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import read_json, write_json
from rl_core.judging.accounts import POLICY
from rl_core.market.bars import nanoseconds
from rl_core.market.settings import Split
from rl_core.market.splits import split_bars
from rl_core.steps import BESIDE
from rl_core.steps.context import Workplace
from rl_core.steps.soundness import require_sound
from rl_core.steps.walk_forward.fold import ACCOUNT, FIGURES, run_fold
from rl_core.steps.walk_forward.folds import Fold, make_folds, paths_of
from rl_core.steps.walk_forward.report import (
    FoldFigures,
    WalkForwardReport,
    markdown,
    over_seeds,
    plot,
    pooled_coverage,
    stitch,
    verdict,
)
from rl_core.store.artifacts import Artifact
from rl_core.trading.performance import annual_factor

COVERAGE_TOLERANCE = 0.02


def build_walk_forward(
    work: Workplace, device: torch.device, say: Callable[[str], None]
) -> Artifact:
    """Train and test every fold with every seed, and seal what they show together.

    Raises:
        TollgateError: the bars hold no fold, or a fold is not sound.
    """
    inputs = work.inputs("bars")
    require_sound(work, ["bars"])
    config = work.desk.walk_forward
    market = work.kind.prepare(work.read_bars(), work.read_sentiment(), None)
    is_test = split_bars(market.horizon_ns, work.desk.splits) == Split.TEST
    folds = make_folds(market.ns[: int(is_test.argmax())], market.first_bar, config)
    if config.scheme == "combinatorial" and work.kind.episodes_go_on:
        raise TollgateError(
            "walk_forward.scheme must be expanding or rolling on this kind of desk, was "
            "combinatorial: its episodes go on into the groups that are left out"
        )
    results: dict[tuple[int, int], Path] = {}  # of fold and seed
    for number, fold in enumerate(folds):
        say(f"walk_forward: fold {number + 1} of {len(folds)}, {fold.name}")
        for seed, place in run_fold(work, fold, market, device, say).items():
            results[number, seed] = place
    curves = stitched_curves(folds, results, config.seeds)
    report = summarise(work, results, curves, len(paths_of(folds)))
    metadata = {
        "scheme": config.scheme,
        "folds": len(folds),
        "seeds": len(config.seeds),
        "verdict": verdict(report),
        "policy_sharpe": None if report.policy_sharpe is None else report.policy_sharpe.iqm,
        "coverage": report.coverage,
        "overlapping_labels": report.overlapping_labels,
    }
    with work.lake.build("walk_forward", inputs, work.desk.resolved(), metadata) as directory:
        write_json(directory / "report.json", report.model_dump(mode="json"))
        (directory / "report.md").write_text(markdown(report))
        frame = pd.DataFrame(curves)
        frame.rename_axis("timestamp").reset_index().to_parquet(directory / "returns.parquet")
        plot(directory / "walk_forward.png", report, curves)
    return work.lake.load("walk_forward")


def stitched_curves(
    folds: Sequence[Fold], results: dict[tuple[int, int], Path], seeds: Sequence[int]
) -> dict[str, pd.Series]:
    """Returns of each account through all folds: the policy's by path and seed, others once."""
    accounts = {key: pd.read_parquet(place / ACCOUNT) for key, place in results.items()}
    curves: dict[str, pd.Series] = {}
    paths = paths_of(list(folds))
    for seed in seeds:
        for number, path in enumerate(paths):
            parts = [
                account[account["group"] == group]
                for fold, group in path
                for account in [accounts[fold, seed]]
            ]
            whole = pd.concat(parts)
            name = f"{POLICY}, seed {seed}" + (f", path {number + 1}" if len(paths) > 1 else "")
            curves[name] = whole[POLICY]
            for other in whole.columns.drop([POLICY, "group"]):
                curves.setdefault(other, whole[other])
    return curves


def summarise(
    work: Workplace,
    results: dict[tuple[int, int], Path],
    curves: dict[str, pd.Series],
    paths: int,
) -> WalkForwardReport:
    """What all folds show together."""
    figures = [
        validated(FoldFigures, read_json(place / FIGURES), str(place / FIGURES))
        for _, place in sorted(results.items())
    ]
    clock = nanoseconds(next(iter(curves.values())).index.to_series())
    skill = work.desk.gate.skill
    stitched = stitch(curves, annual_factor(clock), skill.bootstrap_replications, skill.seed)
    return WalkForwardReport(
        desk=work.desk.name,
        data=work.desk.bars.market_name,
        scheme=work.desk.walk_forward.scheme,
        paths=paths,
        folds=figures,
        stitched=stitched,
        policy_sharpe=over_seeds(stitched),
        promised=work.desk.gate.interval_coverage,
        coverage=pooled_coverage(figures),
        overlapping_labels=sum(each.overlapping_labels for each in figures),
    )


def read_report(work: Workplace) -> WalkForwardReport:
    """The sealed report."""
    work.lake.load("walk_forward")
    path = work.lake.path("walk_forward", "report.json")
    return validated(WalkForwardReport, read_json(path), str(path))


def run_checks(work: Workplace) -> list[Check]:
    """No label crosses a border, and intervals hold what they promise."""
    report = read_report(work)
    off = max((abs(c - report.promised) for c in report.coverage.values()), default=0.0)
    held = ", ".join(f"{horizon} {c:.1%}" for horizon, c in report.coverage.items())
    return [
        Check(
            name="folds_do_not_overlap",
            passed=report.overlapping_labels == 0,
            is_blocking=BESIDE["walk_forward"]["folds_do_not_overlap"],
            detail=f"{report.overlapping_labels} rows whose target reaches another split",
            figures={"rows": report.overlapping_labels},
        ),
        Check(
            name="intervals_hold_what_they_promise",
            passed=off <= COVERAGE_TOLERANCE,
            is_blocking=BESIDE["walk_forward"]["intervals_hold_what_they_promise"],
            detail=f"{report.promised:.0%} intervals held {held or 'nothing: no forecasts'}, "
            f"within {COVERAGE_TOLERANCE:.0%} of it",
            figures=report.coverage,
        ),
    ]
