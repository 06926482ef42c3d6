"""What one fold and seed came to, written and sealed."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from rl_core.base.files import write_json
from rl_core.judging.accounts import BENCHMARKS, POLICY, TEACHER
from rl_core.judging.contenders import FITS
from rl_core.judging.statistics.sharpe import sharpe_figures
from rl_core.kinds.base import AccountWalk
from rl_core.steps.context import DeskContext
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.prediction_validation.accounts import others
from rl_core.steps.prediction_validation.contenders import Contender, contenders
from rl_core.steps.prediction_validation.intervals import return_intervals
from rl_core.steps.prediction_validation.judged import JudgedPolicy
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.runner import verdicts
from rl_core.steps.walk_forward.figures import FoldFigures
from rl_core.steps.walk_forward.folds import Fold
from rl_core.trading.performance import annual_factor, bar_returns

ACCOUNT, FIGURES = "account.parquet", "fold.json"


def write_fold(context: DeskContext, fold: Fold, seed: int, directory: Path) -> None:
    """Trade the fold's test spans, each with a new account, and write what came of it."""
    spans = [(span.first, span.last) for span in fold.test]
    judged = JudgedPolicy.open(context, context.inputs_of(GATE), spans)
    beside = contenders(judged, list(FITS))  # a policy's own forecasts differ from seed to seed
    parts = [
        returns_of(judged, account, span, beside).assign(group=group)
        for group, span, (_, account) in zip(fold.groups, spans, judged.walks, strict=True)
    ]
    account = pd.concat(parts)
    account.to_parquet(directory / ACCOUNT)
    intervals = return_intervals(judged, context.desk.gate.interval_coverage)
    train, test = (judged.rows(split)["timestamp"] for split in ("train", "test"))
    checks = {check.name: check for check in verdicts(context, OFFLINE_DATASET)}
    known = np.isfinite(judged.targets).sum(axis=0).tolist()
    per_year = annual_factor(judged.market.ns)
    figures = FoldFigures(
        fold=fold.name,
        seed=seed,
        train_start=str(train.min()),
        train_end=str(train.max()),
        test_start=str(test.min()),
        test_end=str(test.max()),
        train_rows=len(train),
        test_bars=len(test),
        sharpes={
            name: sharpe_figures(account[name].to_numpy(), per_year)
            for name in account.columns.drop("group")
        },
        coverage={
            horizon: each.test_coverage
            for horizon, each in intervals.items()
            if each.test_coverage is not None
        },
        known_targets=dict(zip(judged.policy.spec.horizons, known, strict=True)),
        overlapping_labels=int(checks["no_label_reaches_another_split"].figures["rows"] or 0),
    )
    write_json(directory / FIGURES, figures.model_dump(mode="json"))


def returns_of(
    judged: JudgedPolicy,
    own: AccountWalk,
    span: tuple[int, int],
    simple: Mapping[str, Contender],
) -> pd.DataFrame:
    """Returns per bar (T, accounts) of the policy and of all who stand beside it, on a span."""
    first, last = span
    beside = others(judged, first, last - first + 1)
    walks = {POLICY: own}
    walks |= {name: beside[name] for name in (TEACHER, *BENCHMARKS) if name in beside}
    walks |= {name: each.walk(judged, span) for name, each in simple.items()}
    bar = judged.dataset["bar"]
    rows = judged.dataset[(bar >= first) & (bar <= last)]
    # the bars of a span but its first: what an account earned by each close
    index = pd.Index(rows["timestamp"].iloc[1:], name="timestamp")
    return pd.DataFrame({n: bar_returns(w.equity) for n, w in walks.items()}, index=index)
