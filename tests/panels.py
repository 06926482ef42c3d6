"""Panels that tests share. Shapes: T sessions, S stocks."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.desk import PortfolioDesk
from rl_core.kinds.portfolio.market import PanelMarket
from rl_core.kinds.registry import kind_of
from rl_core.market.panel import Panel
from rl_core.market.sessions import session_days
from tests.conftest import LENIENT

START = pd.Timestamp("2000-01-03").value
NS_PER_DAY = 86_400_000_000_000


def days(count: int) -> NDArray[np.int64]:
    """The first sessions of New York since 2000."""
    return session_days("XNYS", START, START + 2 * count * NS_PER_DAY)[:count]


def panel_of(
    close: NDArray[np.float64],
    symbols: Sequence[str] | None = None,
    **measures: NDArray[np.float64],
) -> Panel:
    """A panel of (T, S) closes without a hole in the calendar."""
    names = symbols or [f"S{number:03d}" for number in range(close.shape[1])]
    return Panel(
        ns=days(len(close)),
        session=np.arange(len(close)),
        symbols=tuple(names),
        measures={"close": close, **measures},
    )


def random_closes(sessions: int, stocks: int, seed: int = 0) -> NDArray[np.float64]:
    """Random walks around a common one."""
    rng = np.random.default_rng(seed)
    common = rng.normal(0.0003, 0.008, (sessions, 1))
    own = rng.normal(0.0, 0.012, (sessions, stocks))
    return 50 * np.exp(np.cumsum(common + own, axis=0))


def with_comings_and_goings(close: NDArray[np.float64], seed: int = 1) -> NDArray[np.float64]:
    """Some stocks come later, some leave, some do not trade for a while."""
    rng, holes = np.random.default_rng(seed), close.copy()
    sessions, stocks = close.shape
    for stock in range(1, stocks):
        kind, at = stock % 4, int(rng.integers(sessions // 4, 3 * sessions // 4))
        if kind == 1:
            holes[:at, stock] = np.nan
        elif kind == 2:
            holes[at:, stock] = np.nan
        elif kind == 3:
            holes[at : at + int(rng.integers(1, 9)), stock] = np.nan
    return holes


def portfolio_desk(path: Path, name: str = "stocks", **settings: Any) -> PortfolioDesk:
    """A desk whose whole chain runs in seconds."""
    base: dict[str, object] = {
        "name": name,
        "kind": "portfolio",
        "bars": {"path": str(path), "symbol": "TEST"},
        "quality": {"jump_return": 0.25},
        "dataset": {"horizons": ["24h", "5d"]},
        "splits": {"purge": "5d"},
        "regime_filter": {"min_train_rows": 100},
        "model": {"hidden_dim": 16, "head_dim": 8},
        "bc": {"epochs": 2},
        "ppo": {"num_envs": 64, "rollout_steps": 16, "iterations": 2, "evaluate_every": 1,
                "critic_warmup_iterations": 1},
        # a tiny network is judged for soundness, not for how well it learned in seconds
        "gate": LENIENT,
    }  # fmt: skip
    return PortfolioDesk.model_validate({**base, **settings})


def prepared(panel: Panel, **settings: Any) -> PanelMarket:
    """A panel as a desk prepares it, thresholds fitted on its first part."""
    market = kind_of(portfolio_desk(Path("none.parquet"), **settings)).prepare(
        panel.to_frame(), None, None
    )
    assert isinstance(market, PanelMarket)
    return market
