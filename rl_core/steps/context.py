"""A desk at work: its settings, its lake and its model store, and what several links read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import read_json
from rl_core.desk import DeskConfig, data_root, load_desk
from rl_core.features.prepare import PreparedMarket
from rl_core.features.regimes import RegimeThresholds
from rl_core.kinds.registry import DeskKind, kind_of
from rl_core.store.artifacts import Artifact, Lake
from rl_core.store.models import ModelStore
from rl_core.store.trials import TrialLedger

BARS, SENTIMENT = "bars.parquet", "sentiment.parquet"
THRESHOLDS = "thresholds.json"


@dataclass(frozen=True)
class Workplace:
    """Where one desk's chain reads and writes."""

    desk: DeskConfig
    lake: Lake
    store: ModelStore

    @property
    def kind(self) -> DeskKind:
        """What the desk's kind knows."""
        return kind_of(self.desk)

    @property
    def trials(self) -> TrialLedger:
        """What was ever trained for the desk."""
        return TrialLedger(self.lake.directory.parents[1], self.desk.name)

    @classmethod
    def open(cls, desk: str | DeskConfig, root: Path | None = None) -> "Workplace":
        """By the desk's name or its settings; `root` is the data folder unless told otherwise."""
        config = load_desk(desk) if isinstance(desk, str) else desk
        folder = root or data_root()
        return cls(config, Lake(folder, config.name), ModelStore(folder, config.name))

    def inputs(self, *names: str) -> dict[str, Artifact]:
        """Verified artefacts that were built with the settings which the desk has now.

        Raises:
            TollgateError: one is missing, was changed, or is of other settings.
        """
        found = {name: self.lake.load(name) for name in names}
        for artifact in found.values():
            self.require_same_settings(artifact)
        return found

    def require_same_settings(self, artifact: Artifact) -> None:
        """Refuse an artefact of other market settings than the desk's.

        Raises:
            TollgateError: names the first setting that differs.
        """
        now = self.desk.resolved()
        for section in self.desk.shared_sections:
            if difference := first_difference(artifact.config.get(section), now[section], section):
                raise TollgateError(
                    f"{artifact.name} of desk {self.desk.name} must be built with the desk's "
                    f"settings, was built with other {difference}: build {artifact.name} again"
                )

    def read_bars(self) -> pd.DataFrame:
        """The sealed bars."""
        self.lake.load("bars")
        return pd.read_parquet(self.lake.path("bars", BARS))

    def read_sentiment(self) -> pd.DataFrame | None:
        """The sentiment that was sealed with the bars, if the desk has a source."""
        self.lake.load("bars")
        path = self.lake.path("bars", SENTIMENT)
        return pd.read_parquet(path) if path.is_file() else None

    def read_thresholds(self, name: str) -> RegimeThresholds:
        """The regime thresholds, fitted on the training span, that an artefact carries."""
        self.lake.load(name)
        path = self.lake.path(name, THRESHOLDS)
        return validated(RegimeThresholds, read_json(path), str(path))

    def read_market(self, thresholds: RegimeThresholds) -> PreparedMarket:
        """The sealed bars, prepared."""
        return self.kind.prepare(self.read_bars(), self.read_sentiment(), thresholds)

    def read_dataset(self, name: str) -> pd.DataFrame:
        """`offline_dataset` or `regime_dataset`.

        Raises:
            TollgateError: it was built by an earlier version.
        """
        self.lake.load(name)
        dataset = pd.read_parquet(self.lake.path(name, "dataset.parquet"))
        if "clock" not in dataset:
            raise TollgateError(
                f"{name} of desk {self.desk.name} must have a column clock, was built before there "
                "was one: build offline_dataset and what follows again"
            )
        return dataset


def first_difference(then: Any, now: Any, name: str) -> str | None:
    """Dotted name of the first setting in which two values differ, with both values."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted({*then, *now}):
            if found := first_difference(then.get(key), now.get(key), f"{name}.{key}"):
                return found
        return None
    return None if then == now else f"{name} ({then}, now {now})"
