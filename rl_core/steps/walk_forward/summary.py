"""All folds of a walk forward, stitched together into one report."""

import io
from collections.abc import Sequence

import pandas as pd

from rl_core.base.code import code_fingerprint
from rl_core.base.errors import validated
from rl_core.desk import DeskConfig
from rl_core.judging.accounts import POLICY
from rl_core.market.bars import nanoseconds
from rl_core.steps.walk_forward.figures import FoldFigures, WalkForwardReport
from rl_core.steps.walk_forward.folds import Fold, paths_of
from rl_core.steps.walk_forward.report import (
    over_seeds,
    pooled_coverage,
    stitch,
)
from rl_core.steps.walk_forward.results import ACCOUNT, FIGURES
from rl_core.store.sealed import SealedFolder
from rl_core.trading.performance import annual_factor


def stitched_curves(
    folds: Sequence[Fold], results: dict[tuple[int, int], SealedFolder], seeds: Sequence[int]
) -> dict[str, pd.Series]:
    """Returns of each account through all folds: the policy's by path and seed, others once."""
    accounts = {
        key: pd.read_parquet(io.BytesIO(folder.read(ACCOUNT))) for key, folder in results.items()
    }
    # a simple model that found too little to learn from in one fold has no curve through all
    everywhere = set.intersection(*(set(account.columns) for account in accounts.values()))
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
                if other not in everywhere:
                    continue
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
    of_other_code = sum(folder.body["code"] != code_fingerprint() for folder in results.values())
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
        folds_of_other_code=of_other_code,
        overlapping_labels=sum(each.overlapping_labels for each in figures),
    )
