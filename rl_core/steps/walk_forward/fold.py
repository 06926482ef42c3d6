"""One fold of a walk forward: its own bars, the whole procedure, its test spans traded.

    data/walk_forward/<desk>/<settings>/<fold>-<bars>-<seed>/   fold.json account.parquet seal.json

What a fold gives is kept under the hash of the bars that it knew, so an interrupted walk goes on
where it was, and bars that come later add folds without touching those that are there.
"""

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from rl_core.base.errors import TollgateError
from rl_core.base.files import new_directory, read_json, sha256_file, sha256_json, write_json
from rl_core.features.prepare import PreparedMarket
from rl_core.judging.accounts import BENCHMARKS, POLICY, TEACHER
from rl_core.judging.statistics.sharpe import SharpeFigures
from rl_core.kinds.registry import AccountWalk
from rl_core.learning.models.policy_file import load_policy
from rl_core.learning.policy_walk import PolicyDecisions
from rl_core.market.settings import BarSpan
from rl_core.steps.backtest_history import build_backtest_history
from rl_core.steps.bc_policy import build_bc_policy
from rl_core.steps.context import BARS, SENTIMENT, Workplace
from rl_core.steps.offline_dataset import build_offline_dataset
from rl_core.steps.ppo_policy.checkpoints import TrainingOptions
from rl_core.steps.ppo_policy.step import build_ppo_policy
from rl_core.steps.prediction_validation.evidence import Judged, return_intervals
from rl_core.steps.regime_dataset import build_regime_dataset
from rl_core.steps.scoring import evaluate_policy
from rl_core.steps.soundness import link_checks, require_sound
from rl_core.steps.walk_forward.folds import Fold
from rl_core.steps.walk_forward.report import FoldFigures
from rl_core.store.artifacts import Artifact
from rl_core.trading.performance import annual_factor, bar_returns

ACCOUNT, FIGURES, SEAL = "account.parquet", "fold.json", "seal.json"
# sections that say nothing of how a fold is trained and tested
SAYS_NOTHING = ("gate", "retrain", "owners", "description", "splits")


def run_fold(
    work: Workplace,
    fold: Fold,
    market: PreparedMarket,
    device: torch.device,
    say: Callable[[str], None],
) -> dict[int, Path]:
    """Seed -> where the fold's result lies; what was done before is not done again."""
    home = results_folder(work)
    with tempfile.TemporaryDirectory(dir=home, prefix=".under_way.") as name:
        own = fold_workplace(work, fold, Path(name))
        known = seal_fold_bars(own, work, market.bars["timestamp"].iloc[fold.last_bar])
        places = {
            seed: home / f"{fold.name}-{known.content[:12]}-{seed}"
            for seed in work.desk.walk_forward.seeds
        }
        missing = [seed for seed, place in places.items() if not place.is_dir()]
        if missing:
            build_backtest_history(own)
            build_offline_dataset(own)
            require_sound(own, ["offline_dataset"])
            build_regime_dataset(own)
        for seed in missing:
            say(f"walk_forward: {fold.name}, seed {seed}")
            seeded = with_seed(own, seed)
            build_bc_policy(seeded, device, lambda _: None)
            build_ppo_policy(seeded, TrainingOptions(device), lambda _: None)
            with new_directory(places[seed]) as directory:
                write_fold(seeded, fold, seed, directory)
                hashes = {file: sha256_file(directory / file) for file in (ACCOUNT, FIGURES)}
                write_json(directory / SEAL, hashes)
    for place in places.values():
        require_untouched(place)
    return places


def require_untouched(place: Path) -> None:
    """Refuse a result that was changed since it was written.

    Raises:
        TollgateError: says what to delete.
    """
    expected = read_json(place / SEAL)
    found = {file: sha256_file(place / file) for file in (ACCOUNT, FIGURES)}
    if found != expected:
        raise TollgateError(
            f"{place} must be as it was written, was changed since: delete it and walk again"
        )


def results_folder(work: Workplace) -> Path:
    """Where the results of these settings lie."""
    settings = work.desk.resolved()
    told = {k: v for k, v in settings.items() if k not in SAYS_NOTHING}
    told["walk_forward"] = {
        k: v for k, v in settings["walk_forward"].items() if k not in ("folds", "seeds")
    }
    told["purge"] = settings["splits"]["purge"]
    told["coverage"] = settings["gate"]["interval_coverage"]
    root = work.lake.directory.parents[1]
    folder = root / "walk_forward" / work.desk.name / sha256_json(told)[:12]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fold_workplace(work: Workplace, fold: Fold, root: Path) -> Workplace:
    """The desk with the fold's spans, in a place of its own."""
    embargo = work.desk.walk_forward.embargo
    spans = [span.model_dump(mode="json") for span in fold.spans]
    desk = work.desk.with_settings(
        {
            "splits.spans": spans,
            "splits.embargo": embargo,
            "ppo.mode": "full",
            "ppo.train_heads_only": False,
        }
    )
    return Workplace.open(desk, root)


def with_seed(work: Workplace, seed: int) -> Workplace:
    """The same place, its learners seeded."""
    desk = work.desk.with_settings({"bc.seeds": [seed], "ppo.seed": seed})
    return Workplace(desk, work.lake, work.store)


def seal_fold_bars(own: Workplace, work: Workplace, last: pd.Timestamp) -> Artifact:
    """The desk's sealed bars up to the fold's last one, and the sentiment up to then."""
    bars = work.read_bars()
    bars = bars[bars["timestamp"] <= last]
    sentiment = work.read_sentiment()
    metadata: dict[str, Any] = {
        "rows": bars["timestamp"].nunique(),
        "stocks": work.lake.load("bars").metadata["stocks"],
        "start": str(bars["timestamp"].min()),
        "end": str(last),
    }
    with own.lake.build("bars", {}, own.desk.resolved(), metadata) as directory:
        bars.to_parquet(directory / BARS, index=False)
        if sentiment is not None:
            close = last + pd.Timedelta(own.desk.bars.interval_ns, "ns")
            told = sentiment[sentiment["published"] < close]
            told.to_parquet(directory / SENTIMENT, index=False)
    return own.lake.load("bars")


def write_fold(work: Workplace, fold: Fold, seed: int, directory: Path) -> None:
    """Trade the fold's test spans, each with a new account, and write what came of it."""
    policy = load_policy(work.lake.directory / "ppo_policy")
    market, dataset = work.read_market(policy.spec.thresholds), work.read_dataset("offline_dataset")
    parts: list[pd.DataFrame] = []
    walked: list[PolicyDecisions] = []
    for group, span in zip(fold.groups, fold.test, strict=True):
        decisions, own = evaluate_policy(work.kind, market, policy.model, (span.first, span.last))
        walked.append(decisions)
        parts.append(returns_of(work, market, dataset, own, span).assign(group=group))
    account = pd.concat(parts)
    account.to_parquet(directory / ACCOUNT)
    judged = Judged(work, policy, market, dataset, walked[-1])
    intervals = return_intervals(judged, work.desk.gate.interval_coverage)
    train, test = (judged.rows(split)["timestamp"] for split in ("train", "test"))
    checks = {check.name: check for check in link_checks(work, "offline_dataset")}
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
            name: SharpeFigures.of(account[name].to_numpy(), annual_factor(market.ns))
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
    work: Workplace, market: PreparedMarket, dataset: pd.DataFrame, own: AccountWalk, span: BarSpan
) -> pd.DataFrame:
    """Returns per bar (T, accounts) of the policy, the teacher and the benchmarks on a span."""
    rows = dataset[(dataset["bar"] >= span.first) & (dataset["bar"] <= span.last)]
    action, strength = rows["action"].to_numpy(np.int8), rows["strength"].to_numpy(np.float64)
    others = work.kind.benchmarks(market, span.first, len(rows))
    walks = {
        POLICY: own,
        TEACHER: work.kind.walk(market, span.first, action, strength),
        **{name: others[name] for name in BENCHMARKS if name in others},
    }
    # the bars of a span but its first: what an account earned by each close
    index = pd.Index(rows["timestamp"].iloc[1:], name="timestamp")
    return pd.DataFrame({n: bar_returns(w.equity) for n, w in walks.items()}, index=index)
