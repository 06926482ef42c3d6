"""Bars and desks that tests share. Shapes: B bars."""

import os
from collections.abc import Callable
from pathlib import Path

# two workers on two cores: a second OpenMP thread each would slow both down manifold
os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
import pandas as pd
import pytest
from hypothesis import settings

from rl_core.desk import SpotDesk
from rl_core.features.prepare import PreparationConfig, PreparedMarket, prepare_market
from rl_core.features.regimes import fit_regime_thresholds
from rl_core.features.settings import RegimeConfig
from rl_core.kinds.spot.settings import CostConfig
from rl_core.lab.markets.spot import simulate_bars
from rl_core.market.settings import QualityConfig

settings.register_profile("tollgate", deadline=None)  # the first example compiles
settings.load_profile("tollgate")

HOUR_NS = 3_600_000_000_000


def make_bars(close: list[float], open_price: list[float] | None = None) -> pd.DataFrame:
    """Hourly bars with given closes; each opens at the last close unless told otherwise."""
    opens = open_price or [close[0], *close[:-1]]
    return pd.DataFrame(
        {
            "timestamp": pd.date_range(
                "2020-01-01", periods=len(close), freq="1h", tz="UTC", unit="ns"
            ),
            "open": np.array(opens, dtype=float),
            "high": np.maximum(opens, close).astype(float),
            "low": np.minimum(opens, close).astype(float),
            "close": np.array(close, dtype=float),
            "volume": np.full(len(close), 1e6),
        }
    )


@pytest.fixture
def preparation() -> PreparationConfig:
    return PreparationConfig(HOUR_NS, QualityConfig(), 24.0, CostConfig().impact_coefficient)


@pytest.fixture
def prepare(preparation: PreparationConfig) -> Callable[[pd.DataFrame], PreparedMarket]:
    """Prepare bars with thresholds fitted on their first half."""

    def run(bars: pd.DataFrame) -> PreparedMarket:
        train = np.arange(len(bars)) < len(bars) // 2
        return prepare_market(
            bars, None, preparation,
            lambda indicators: fit_regime_thresholds(indicators, train, RegimeConfig()),
        )  # fmt: skip

    return run


# a tiny network is judged for soundness, not for how well it learned in seconds
LENIENT: dict[str, object] = {
    "max_loss_gap": 5.0,
    "max_accuracy_gap": 0.9,
    "max_action_share": 1.0,
    "max_regime_action_share": 1.0,
    "min_regime_bars": 10,
    "max_action_shift": 1.0,
    "max_strength_shift": 1.0,
    "severity": {"clone_imitates_the_teacher": "warn"},
    "contenders": ["ridge", "own_forecasts"],
}


def small_desk(bars_path: Path, name: str = "small", **settings: object) -> SpotDesk:
    """A desk whose whole chain runs in seconds."""
    base: dict[str, object] = {
        "name": name,
        "bars": {"path": str(bars_path), "symbol": "SIM"},
        "model": {"hidden_dim": 32, "head_dim": 16},
        "bc": {"epochs": 3},
        "ppo": {"num_envs": 64, "rollout_steps": 32, "iterations": 2, "evaluate_every": 1,
                "critic_warmup_iterations": 1},
        "gate": LENIENT,
    }  # fmt: skip
    return SpotDesk.model_validate({**base, **settings})


@pytest.fixture
def simulated_path(tmp_path: Path) -> Path:
    """3,000 simulated hours with a planted signal, as Parquet."""
    path = tmp_path / "simulated.parquet"
    simulate_bars(3000, seed=7, signal_r2=0.05).to_parquet(path, index=False)
    return path
