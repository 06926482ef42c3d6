"""walk_forward, built: every fold trained and tested, and what they show together."""

import logging

import pandas as pd

from rl_core.base.errors import TollgateError
from rl_core.base.files import write_json
from rl_core.market.settings import Split
from rl_core.market.splits import split_bars
from rl_core.steps.bars import BARS
from rl_core.steps.context import Task
from rl_core.steps.reading import read_market
from rl_core.steps.walk_forward.fold import run_fold
from rl_core.steps.walk_forward.folds import make_folds, paths_of
from rl_core.steps.walk_forward.report import (
    markdown,
    plot,
    verdict,
)
from rl_core.steps.walk_forward.step import REPORT, REPORT_TEXT, WalkFacts
from rl_core.steps.walk_forward.summary import stitched_curves, summarise
from rl_core.store.sealed import SealedFolder

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
