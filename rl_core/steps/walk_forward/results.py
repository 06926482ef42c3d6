"""What one fold and seed came to, written and sealed."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from rl_core.base.files import write_json
from rl_core.features.prepare import PreparedMarket
from rl_core.judging.accounts import BENCHMARKS, POLICY, TEACHER
from rl_core.judging.statistics.sharpe import sharpe_figures
from rl_core.kinds.base import AccountWalk
from rl_core.learning.models.policy_file import load_policy
from rl_core.learning.policy_walk import PolicyDecisions
from rl_core.market.settings import BarSpan
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext, Opened
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction_validation.judged import JudgedPolicy
from rl_core.steps.prediction_validation.skill_evidence import return_intervals
from rl_core.steps.reading import read_dataset, read_market
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.runner import verdicts
from rl_core.steps.scoring import evaluate_policy
from rl_core.steps.walk_forward.figures import FoldFigures
from rl_core.steps.walk_forward.folds import Fold
from rl_core.trading.performance import annual_factor, bar_returns

ACCOUNT, FIGURES = "account.parquet", "fold.json"


def write_fold(context: DeskContext, fold: Fold, seed: int, directory: Path) -> None:
    """Trade the fold's test spans, each with a new account, and write what came of it."""
    sealed, bars = context.open_artifact(PPO), context.open_artifact(BARS)
    offline = context.open_artifact(OFFLINE_DATASET)
    inputs: dict[str, Opened[Any]] = {
        BARS.name: bars,
        OFFLINE_DATASET.name: offline,
        REGIMES.name: context.open_artifact(REGIMES),
        PPO.name: sealed,
    }
    policy = load_policy(sealed, context.kind.state.names)
    market, dataset = (read_market(context, bars, policy.spec.thresholds), read_dataset(offline))
    parts: list[pd.DataFrame] = []
    walked: list[PolicyDecisions] = []
    for group, span in zip(fold.groups, fold.test, strict=True):
        decisions, own = evaluate_policy(
            context.kind,
            market,
            policy.model,
            (span.first, span.last),
            memory_bars=policy.spec.memory_bars,
        )
        walked.append(decisions)
        parts.append(returns_of(context, market, dataset, own, span).assign(group=group))
    account = pd.concat(parts)
    account.to_parquet(directory / ACCOUNT)
    judged = JudgedPolicy(context, inputs, policy, market, dataset, walked[-1])
    intervals = return_intervals(judged, context.desk.gate.interval_coverage)
    train, test = (judged.rows(split)["timestamp"] for split in ("train", "test"))
    checks = {check.name: check for check in verdicts(context, OFFLINE_DATASET)}
    known = np.isfinite(judged.targets).sum(axis=0).tolist()
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
            name: sharpe_figures(account[name].to_numpy(), annual_factor(market.ns))
            for name in account.columns.drop("group")
        },
        coverage={
            horizon: each.test_coverage
            for horizon, each in intervals.items()
            if each.test_coverage is not None
        },
        known_targets=dict(zip(policy.spec.horizons, known, strict=True)),
        overlapping_labels=int(checks["no_label_reaches_another_split"].figures["rows"] or 0),
    )
    write_json(directory / FIGURES, figures.model_dump(mode="json"))


def returns_of(
    context: DeskContext,
    market: PreparedMarket,
    dataset: pd.DataFrame,
    own: AccountWalk,
    span: BarSpan,
) -> pd.DataFrame:
    """Returns per bar (T, accounts) of the policy, the teacher and the benchmarks on a span."""
    rows = dataset[(dataset["bar"] >= span.first) & (dataset["bar"] <= span.last)]
    action, strength = rows["action"].to_numpy(np.int8), rows["strength"].to_numpy(np.float64)
    others = context.kind.benchmarks(market, span.first, len(rows))
    walks = {
        POLICY: own,
        TEACHER: context.kind.walk(market, span.first, action, strength),
        **{name: others[name] for name in BENCHMARKS if name in others},
    }
    # the bars of a span but its first: what an account earned by each close
    index = pd.Index(rows["timestamp"].iloc[1:], name="timestamp")
    return pd.DataFrame({n: bar_returns(w.equity) for n, w in walks.items()}, index=index)
