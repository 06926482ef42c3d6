"""Bars a second of the backtest beside backtesting.py, on the same random decisions, one core.

Run by `make bench`. Rounds alternate, so that a noisy machine disturbs all alike; the ratio of a
round is what to compare.
"""

import time
import warnings
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
import pandas as pd
from backtesting import Backtest, Strategy

from rl_core.cli.show import table
from rl_core.desk import PROJECT_ROOT, SpotDesk, load_desk
from rl_core.kinds.spot.engine import walk_bars
from rl_core.market.readers import read_bars
from rl_core.steps.backtest_history import run_backtest
from rl_core.trading.accounts import BUY, SELL

ROUNDS = 5
COPIES = 25  # of the sample, end to end: half a million bars


def long_bars() -> pd.DataFrame:
    """The sample's prices again and again, minute by minute."""
    desk = load_desk("btc_spot")
    bars = pd.concat([read_bars(desk.bars, PROJECT_ROOT)] * COPIES, ignore_index=True)
    times = pd.date_range("2000-01-01", periods=len(bars), freq="1min", tz="UTC", unit="ns")
    return bars.assign(timestamp=times)


def peer_seconds(bars: pd.DataFrame, action: np.ndarray) -> float:
    """backtesting.py: a Python call a bar."""

    class Replay(Strategy):
        signal: Any

        def init(self) -> None:
            self.signal = self.I(lambda: action)

        def next(self) -> None:
            if self.signal[-1] == BUY and not self.position:
                self.buy(size=0.99)
            elif self.signal[-1] == SELL and self.position:
                self.position.close()

    frame = bars.rename(columns=str.title).set_index("Timestamp")
    frame[["Open", "High", "Low", "Close"]] /= 1e6  # so that fractions of a coin are whole units
    return seconds(Backtest(frame, Replay, cash=10_000, commission=0.001).run)


def seconds(call: Callable[[], object]) -> float:
    """Wall-clock time of one call."""
    started = time.perf_counter()
    call()
    return time.perf_counter() - started


def main() -> None:
    """Measure and print."""
    warnings.simplefilter("ignore")
    desk, bars = load_desk("btc_spot"), long_bars()
    assert isinstance(desk, SpotDesk)
    action = np.random.default_rng(0).integers(0, 3, len(bars)).astype(np.int8)
    strength, impact = np.ones(len(bars)), np.full(len(bars), 1e-6)
    rates = desk.costs.rates(desk.bars.interval_ns)
    few = len(bars) // COPIES  # the peer is too slow for more

    def walk() -> object:
        return walk_bars(bars, action, strength, impact, rates, desk.account)

    walk()  # compiles
    measured: dict[str, list[float]] = {name: [] for name in ("walk", "whole", "backtesting.py")}
    for _ in range(ROUNDS):
        measured["walk"].append(len(bars) / seconds(walk))
        measured["whole"].append(len(bars) / seconds(lambda: run_backtest(desk, bars, None)))
        measured["backtesting.py"].append(few / peer_seconds(bars[:few], action[:few]))
    peer = measured["backtesting.py"]
    meaning = {
        "walk": "tollgate, walk",
        "whole": "tollgate, whole backtest",
        "backtesting.py": "backtesting.py, walk",
    }
    lines = [
        [
            meaning[name],
            f"{median(rates):,.0f}",
            f"{median(r / p for r, p in zip(rates, peer, strict=True)):.1f}",
        ]
        for name, rates in measured.items()
    ]
    table(f"{len(bars):,} bars, median of {ROUNDS} rounds", ["", "bars/s", "ratio"], lines)


if __name__ == "__main__":
    main()
