"""The offline dataset: what the teacher saw, what it did, and what the market did then.

One row per decision with a complete state. Shapes: N rows, H horizons.
"""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from rl_core.base.units import length_ns
from rl_core.features.prepare import PreparedMarket
from rl_core.features.state import StateTable, side_by_side
from rl_core.market.rolls import CONTRACT
from rl_core.market.settings import Split
from rl_core.offline.settings import DatasetConfig
from rl_core.offline.targets import forward_returns

SPLIT_NAMES = pd.CategoricalDtype([part.name.lower() for part in Split])


def build_dataset(
    market: PreparedMarket,
    split: NDArray[np.int8],
    history: pd.DataFrame,
    state: StateTable,
    decision_columns: tuple[str, ...],
    config: DatasetConfig,
) -> pd.DataFrame:
    """Join states, decisions and targets.

    Args:
        market: of all bars.
        split: (B,) Split of each bar.
        history: (N,) decision records of the bars from the first complete state on.
        state: names of the features; the account's are columns of the history.
        decision_columns: columns of the history that say what came of a decision.
        config: which horizons.

    Returns:
        (N,) table: `timestamp`, `clock` (ns, as horizons count time), `bar`, the features
        (float32), `action` (int8), `strength`, the decision columns and `return_<horizon>`
        (float32, NaN is unknown), `regime`, `atr_fraction`, `adx`, `split`.
    """
    rows = slice(market.first_bar, None)
    states = dict(zip(state.market_names, market.features[rows].T, strict=True))
    states |= {name: history[name].to_numpy(dtype=np.float32) for name in state.account_names}
    close = market.bars["close"].to_numpy()
    contract = market.bars[CONTRACT].to_numpy() if CONTRACT in market.bars else None
    targets = {
        f"return_{horizon}": forward_returns(market.horizon_ns, close, horizon, contract)[
            rows
        ].astype(np.float32)
        for horizon in config.horizons
    }
    return pd.DataFrame(
        {
            "timestamp": market.bars["timestamp"].iloc[rows].reset_index(drop=True),
            "clock": market.horizon_ns[rows],
            "bar": np.arange(market.first_bar, len(close), dtype=np.int32),
            **states,
            "action": history["action"].to_numpy(dtype=np.int8),
            "strength": history["strength"].to_numpy(dtype=np.float32),
            **{name: history[name].to_numpy() for name in decision_columns},
            **targets,
            "regime": market.regime[rows],
            "atr_fraction": market.indicators.atr_fraction[rows].astype(np.float32),
            "adx": market.indicators.adx[rows].astype(np.float32),
            "split": pd.Categorical.from_codes(split[rows], dtype=SPLIT_NAMES),
        }
    )


@dataclass(frozen=True)
class DatasetArrays:
    """The learner's view of some rows of a dataset."""

    states: NDArray[np.float32]  # (N, F)
    actions: NDArray[np.int8]  # (N,)
    strengths: NDArray[np.float32]  # (N,)
    returns: NDArray[np.float32]  # (N, H), NaN is unknown
    risk: NDArray[np.int8]  # (N,) volatility regime one longest horizon later, -1 is unknown
    starts: NDArray[np.bool_]  # (N,) this row does not follow on the one before it

    def __len__(self) -> int:
        return len(self.actions)


def dataset_arrays(dataset: pd.DataFrame, horizons: tuple[str, ...], split: str) -> DatasetArrays:
    """Rows of one split as arrays."""
    rows = dataset[dataset["split"] == split]
    names = state_names(dataset)
    return DatasetArrays(
        states=rows[names].to_numpy(dtype=np.float32),
        actions=rows["action"].to_numpy(dtype=np.int8),
        strengths=rows["strength"].to_numpy(dtype=np.float32),
        returns=rows[[f"return_{horizon}" for horizon in horizons]].to_numpy(dtype=np.float32),
        risk=regime_to_come(rows, max(horizons, key=length_ns)),
        starts=np.diff(rows["bar"].to_numpy(dtype=np.int64), prepend=-2) != 1,
    )


def state_names(dataset: pd.DataFrame) -> list[str]:
    """The features that a dataset holds: its columns between `bar` and `action`."""
    columns = list(dataset.columns)
    return columns[columns.index("bar") + 1 : columns.index("action")]


def regime_to_come(rows: pd.DataFrame, horizon: str) -> NDArray[np.int8]:
    """Volatility regime of the row whose clock lies a horizon later; -1 where there is none.

    Looked up among the given rows alone, so that a split never learns from the next one.
    """
    regimes = pd.Series(rows["regime"].to_numpy(np.int8), index=rows["clock"].to_numpy())
    later = regimes.reindex(regimes.index + length_ns(horizon), fill_value=-1)
    return later.to_numpy(dtype=np.int8)


def action_distribution(
    actions: "pd.Series[int] | NDArray[np.integer]", names: tuple[str, ...]
) -> dict[str, int]:
    """Count of each action by name."""
    counts = np.bincount(np.asarray(actions, dtype=np.int64), minlength=len(names))
    return dict(zip(names, counts.tolist(), strict=True))


def export_npz(dataset: pd.DataFrame, horizons: tuple[str, ...], path: Path) -> None:
    """Write the dataset as `.npz` that loads with `allow_pickle=False`; same rows, same bytes.

    Arrays: `states` (N, F) float32, `actions` int8, `strengths` float32, `return_<horizon>`
    float32, `timestamps` datetime64[ns] UTC, `regimes` int8, `split` and `feature_names` text.
    """
    # np.savez stamps the clock into the archive; a fixed date keeps the hash that of the content
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in exported_arrays(dataset, horizons):
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w", force_zip64=True) as file:
                npy_format.write_array(file, np.ascontiguousarray(array), allow_pickle=False)


def exported_arrays(
    dataset: pd.DataFrame, horizons: tuple[str, ...]
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Name and array of each part of the `.npz`, one after another, since all at once are large."""
    names = state_names(dataset)
    yield "states", side_by_side([dataset[name].to_numpy() for name in names])
    yield "actions", dataset["action"].to_numpy(dtype=np.int8)
    yield "strengths", dataset["strength"].to_numpy(dtype=np.float32)
    for horizon in horizons:
        yield f"return_{horizon}", dataset[f"return_{horizon}"].to_numpy(dtype=np.float32)
    yield "timestamps", dataset["timestamp"].dt.tz_convert(None).to_numpy()
    yield "regimes", dataset["regime"].to_numpy(dtype=np.int8)
    split = dataset["split"].cat
    yield "split", split.categories.to_numpy(dtype="U10")[split.codes.to_numpy()]
    yield "feature_names", np.array(names)
