"""One fold of a walk forward: its own bars, the whole procedure, its test spans traded.

    data/walk_forward/<desk>/<settings>/<fold>-<bars>-<seed>/   fold.json account.parquet seal.json

What a fold gives is kept under the hash of the bars that it knew, so an interrupted walk goes on
where it was, and bars that come later add folds without touching those that are there.
"""

import logging
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path

import pandas as pd

from rl_core.base import logs
from rl_core.base.code import code_fingerprint
from rl_core.base.files import sha256_json
from rl_core.base.settings import slice_settings
from rl_core.features.prepare import PreparedMarket
from rl_core.steps.bars import BARS, SENTIMENT, BarsFacts
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.context import DeskContext, Task
from rl_core.steps.latest_bars import QUALITY, write_bars
from rl_core.steps.options import BuildOptions
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.reading import read_bars, read_sentiment
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.runner import build, run_chain
from rl_core.steps.walk_forward.folds import Fold
from rl_core.steps.walk_forward.results import write_fold
from rl_core.store.sealed import LEFTOVER, SealedFolder, draft_folder, open_sealed, seal

SEAL = "seal.json"
# settings that shape a fold beside the sections that its chain reads
OF_FOLDS = (
    "walk_forward.scheme", "walk_forward.train", "walk_forward.test", "walk_forward.groups",
    "walk_forward.validation_fraction", "walk_forward.embargo", "walk_forward.test_groups",
    "splits.purge", "gate.interval_coverage", "gate.contenders",
)  # fmt: skip

log = logging.getLogger(__name__)


def run_fold(task: Task, fold: Fold, market: PreparedMarket) -> dict[int, SealedFolder]:
    """Seed -> the fold's result, verified; what was done before is not done again."""
    context = task.context
    home = results_folder(context)
    with tempfile.TemporaryDirectory(dir=home, prefix=LEFTOVER) as name:
        own = fold_context(context, fold, Path(name))
        last = market.bars["timestamp"].iloc[fold.last_bar]
        known = build(own, replace(BARS, build=partial(write_fold_bars, task, last)))
        knowledge = sha256_json({n: h for n, h in known.seal.files.items() if n != QUALITY})
        places = {
            seed: home / f"{fold.name}-{knowledge[:12]}-{seed}"
            for seed in context.desk.walk_forward.seeds
        }
        for seed, place in places.items():
            if not place.is_dir():
                log.info(f"walk_forward: {fold.name}, seed {seed}")
                train_fold(own, fold, seed, place, task.options)
    return {seed: verified(place) for seed, place in places.items()}


def train_fold(own: DeskContext, fold: Fold, seed: int, place: Path, options: BuildOptions) -> None:
    """The whole procedure on a fold's bars, with one seed, and what its account did."""
    seeded = own.with_overrides({"bc.seeds": [seed], "ppo.seed": seed})
    with logs.warnings_only():
        run_chain(seeded, REGIMES, only_missing=True)
        own_options = BuildOptions(device_name=options.device_name)
        build(seeded, CLONE, own_options)
        build(seeded, PPO, own_options)
    with draft_folder(place.parent) as draft:
        write_fold(seeded, fold, seed, draft)
        seal(draft, place, SEAL, {"code": code_fingerprint()})


def verified(place: Path) -> SealedFolder:
    """A fold's result, as it was written.

    Raises:
        TollgateError: it was changed since; says what to delete.
    """
    folder = open_sealed(place, SEAL)
    folder.verify()
    return folder


def results_folder(context: DeskContext) -> Path:
    """Where the results of these settings lie."""
    chain = {section for step in (*PPO.ancestors, PPO) for section in step.reads}
    whole = sorted(section.split(".")[0] for section in chain)
    told = slice_settings(
        context.desk.resolved(), [*(s for s in whole if s != "splits"), *OF_FOLDS], PPO.ignores
    )
    folder = context.root / "walk_forward" / context.desk.name / sha256_json(told)[:12]
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def fold_context(context: DeskContext, fold: Fold, root: Path) -> DeskContext:
    """The desk with the fold's spans, in a place of its own."""
    embargo = context.desk.walk_forward.embargo
    spans = [span.model_dump(mode="json") for span in fold.spans]
    desk = context.desk.with_settings(
        {
            "splits.spans": spans,
            "splits.embargo": embargo,
            "ppo.mode": "full",
            "ppo.train_heads_only": False,
        }
    )
    return DeskContext.open(desk, root)


def write_fold_bars(walk: Task, last: pd.Timestamp, bars: Task) -> BarsFacts:
    """The walked bars up to a fold's last one, and the sentiment that was known by then."""
    source = walk.input(BARS)
    rows = read_bars(source)
    rows = rows[rows["timestamp"] <= last]
    write_bars(rows, bars, source)
    (bars.directory / QUALITY).write_bytes(source.read(QUALITY))
    close = last + pd.Timedelta(walk.context.desk.bars.interval_ns, "ns")
    sentiment = read_sentiment(source, known_before=close)
    if sentiment is not None:
        sentiment.to_parquet(bars.directory / SENTIMENT, index=False)
    known = {
        "rows": rows["timestamp"].nunique(),
        "start": str(rows["timestamp"].min()),
        "end": str(last),
    }
    return source.facts.model_copy(update=known)
