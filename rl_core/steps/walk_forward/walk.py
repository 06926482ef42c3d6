"""walk_forward, built: every fold trained and tested, and what they show together."""

import io
import logging
from collections.abc import Sequence

import pandas as pd

from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import write_json
from rl_core.desk import DeskConfig
from rl_core.judging.accounts import POLICY
from rl_core.market.bars import nanoseconds
from rl_core.market.settings import Split
from rl_core.market.splits import split_bars
from rl_core.steps.bars import BARS
from rl_core.steps.context import Task
from rl_core.steps.reading import read_market
from rl_core.steps.walk_forward.figures import FoldFigures, WalkForwardReport
from rl_core.steps.walk_forward.fold import run_fold
from rl_core.steps.walk_forward.folds import Fold, make_folds, paths_of
from rl_core.steps.walk_forward.report import (
    markdown,
    over_seeds,
    plot,
    pooled_coverage,
    stitch,
    verdict,
)
from rl_core.steps.walk_forward.results import ACCOUNT, FIGURES
from rl_core.steps.walk_forward.step import REPORT, REPORT_TEXT, WalkFacts
from rl_core.store.sealed import SealedFolder
from rl_core.trading.performance import annual_factor

log = logging.getLogger(__name__)


def build(task: Task) -> WalkFacts:
    """Train and test every fold with every seed, and seal what they show together.

    Raises:
        TollgateError: the bars hold no fold, or a fold is not sound.
    """
    context, directory = task.context, task.directory
    config = context.desk.walk_forward
    market = read_market(context, task.input(BARS), None)
    is_test = split_bars(market.horizon_ns, context.desk.splits) == Split.TEST
    folds = make_folds(market.ns[: int(is_test.argmax())], market.first_bar, config)
    if config.scheme == "combinatorial" and context.kind.spans_rollouts:
        raise TollgateError(
            "walk_forward.scheme must be expanding or rolling on this kind of desk, was "
            "combinatorial: its episodes go on into the groups that are left out"
        )
    results: dict[tuple[int, int], SealedFolder] = {}  # of fold and seed
    for number, fold in enumerate(folds):
        log.info(f"walk_forward: fold {number + 1} of {len(folds)}, {fold.name}")
        for seed, folder in run_fold(task, fold, market).items():
            results[number, seed] = folder
    curves = stitched_curves(folds, results, config.seeds)
    report = summarise(context.desk, results, curves, len(paths_of(folds)))
    write_json(directory / REPORT, report.model_dump(mode="json"))
    (directory / REPORT_TEXT).write_text(markdown(report))
    frame = pd.DataFrame(curves)
    frame.rename_axis("timestamp").reset_index().to_parquet(directory / "returns.parquet")
    plot(directory / "walk_forward.png", report, curves)
    return WalkFacts(
        scheme=config.scheme,
        folds=len(folds),
        seeds=len(config.seeds),
        verdict=verdict(report),
        policy_sharpe=None if report.policy_sharpe is None else report.policy_sharpe.iqm,
        coverage=report.coverage,
        overlapping_labels=report.overlapping_labels,
    )


def stitched_curves(
    folds: Sequence[Fold], results: dict[tuple[int, int], SealedFolder], seeds: Sequence[int]
) -> dict[str, pd.Series]:
    """Returns of each account through all folds: the policy's by path and seed, others once."""
    accounts = {
        key: pd.read_parquet(io.BytesIO(folder.read(ACCOUNT))) for key, folder in results.items()
    }
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
    desk: DeskConfig,
    results: dict[tuple[int, int], SealedFolder],
    curves: dict[str, pd.Series],
    paths: int,
) -> WalkForwardReport:
    """Stitch the folds together into one report."""
    figures = [
        validated(FoldFigures, folder.read_json(FIGURES), str(folder.path / FIGURES))
        for _, folder in sorted(results.items(), key=lambda item: item[0])
    ]
    clock = nanoseconds(next(iter(curves.values())).index.to_series())
    skill = desk.gate.skill
    stitched = stitch(curves, annual_factor(clock), skill.bootstrap_replications, skill.seed)
    return WalkForwardReport(
        desk=desk.name,
        data=desk.bars.market_name,
        scheme=desk.walk_forward.scheme,
        paths=paths,
        folds=figures,
        stitched=stitched,
        policy_sharpe=over_seeds(stitched),
        promised=desk.gate.interval_coverage,
        coverage=pooled_coverage(figures),
        overlapping_labels=sum(each.overlapping_labels for each in figures),
    )
