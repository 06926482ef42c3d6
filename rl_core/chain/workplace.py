"""A desk at work: its settings, its lake and its model store, and what several links read."""

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from rl_core.backtest.preparation import PreparedMarket, prepare_market
from rl_core.desk import DeskConfig, data_root, load_desk
from rl_core.features.regimes import RegimeThresholds
from rl_core.registry.lake import Lake
from rl_core.registry.store import ModelStore
from rl_core.runtime.files import read_json

THRESHOLDS = "thresholds.json"


@dataclass(frozen=True)
class Workplace:
    """Where one desk's chain reads and writes."""

    desk: DeskConfig
    lake: Lake
    store: ModelStore

    @classmethod
    def open(cls, desk: str | DeskConfig, root: Path | None = None) -> "Workplace":
        """By the desk's name or its settings; `root` is the data folder unless told otherwise."""
        config = load_desk(desk) if isinstance(desk, str) else desk
        folder = root or data_root()
        return cls(config, Lake(folder, config.name), ModelStore(folder, config.name))

    def read_bars(self) -> pd.DataFrame:
        """The sealed bars."""
        self.lake.load("bars")
        return pd.read_parquet(self.lake.path("bars", "bars.parquet"))

    def read_thresholds(self, name: str) -> RegimeThresholds:
        """The regime thresholds, fitted on the training span, that an artefact carries."""
        self.lake.load(name)
        return RegimeThresholds.model_validate(read_json(self.lake.path(name, THRESHOLDS)))

    def read_market(self, thresholds: RegimeThresholds) -> PreparedMarket:
        """The sealed bars, prepared."""
        return prepare_market(self.read_bars(), self.desk.preparation, thresholds)

    def read_dataset(self, name: str) -> pd.DataFrame:
        """`offline_dataset` or `regime_dataset`."""
        self.lake.load(name)
        return pd.read_parquet(self.lake.path(name, "dataset.parquet"))
