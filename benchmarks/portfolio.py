"""Seconds and memory from a file of prices to the dataset, by the size of the universe.

Run by `make bench`. Each measurement is a process of its own, and rounds alternate between the
sizes: compare the seconds per million prices, which stay alike where the cost is linear.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import numpy as np
import pandas as pd
import typer

from rl_core.cli.show import table
from rl_core.desk import PortfolioDesk
from rl_core.market.sessions import session_days
from rl_core.steps.backtest_history import HISTORY
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.reading import read_bars
from rl_core.steps.runner import build

STOCKS = (50, 100, 200, 500)
YEARS = (10, 20, 30)
LINKS = ("bars", "features", "backtest_history", "offline_dataset")


def write_prices(path: Path, stocks: int, years: int) -> None:
    """Random walks around a common one, a row a stock and day."""
    first, last = pd.Timestamp("1990-01-02"), pd.Timestamp(1990 + years, 1, 2)
    days = session_days("XNYS", first.value, last.value)
    rng = np.random.default_rng(stocks)
    common = rng.normal(0.0003, 0.01, (len(days), 1))
    close = 50 * np.exp(np.cumsum(common + rng.normal(0, 0.015, (len(days), stocks)), axis=0))
    row, column = np.indices(close.shape).reshape(2, -1)
    names = np.array([f"S{number:03d}" for number in range(stocks)])
    pd.DataFrame(
        {
            "timestamp": pd.to_datetime(days)[row],
            "symbol": names[column],
            "close": close.ravel(),
            "volume": 1e6,
        }
    ).to_parquet(path, index=False)


def measure_here(stocks: int, years: int) -> dict[str, float]:
    """Seconds of each link, and the memory at the peak."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_prices(folder / "prices.parquet", stocks, years)
        desk = PortfolioDesk.model_validate(
            {
                "name": "bench",
                "bars": {"path": str(folder / "prices.parquet"), "symbol": "BENCH"},
                "dataset": {"horizons": ["24h", "5d"]},
                "splits": {"purge": "5d"},
            }
        )
        context = DeskContext.open(desk, folder)
        seconds: dict[str, float] = {}
        for link, run in (
            ("bars", lambda: build(context, BARS)),
            (
                "features",
                lambda: context.kind.prepare(read_bars(context.open_artifact(BARS)), None, None),
            ),
            ("backtest_history", lambda: build(context, HISTORY)),
            ("offline_dataset", lambda: build(context, OFFLINE_DATASET)),
        ):
            started = time.perf_counter()
            run()
            seconds[link] = time.perf_counter() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return {**seconds, "peak_gib": peak}


def measure(stocks: int, years: int) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.portfolio", "--only", str(stocks), str(years)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def line(stocks: int, years: int, runs: Sequence[dict[str, float]]) -> list[str]:
    """Medians of a size."""
    middle = {name: median(run[name] for run in runs) for name in runs[0]}
    whole = sum(middle[link] for link in LINKS if link != "features")
    prices = stocks * years * 252 / 1e6
    return [
        f"{stocks} x {years} years",
        *(f"{middle[link]:.1f}" for link in LINKS),
        f"{whole:.1f}",
        f"{middle['features'] / prices:.2f}",
        f"{middle['peak_gib']:.2f}",
    ]


def main(
    rounds: Annotated[int, typer.Option(help="Times that each size runs.")] = 3,
    only: Annotated[tuple[int, int] | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure every size and print it."""
    if only is not None:
        print(json.dumps(measure_here(*only)))
        return
    sizes = [(stocks, YEARS[-1]) for stocks in STOCKS]
    sizes += [(STOCKS[-1], years) for years in YEARS[:-1]]
    runs: dict[tuple[int, int], list[dict[str, float]]] = {size: [] for size in sizes}
    for number in range(rounds):
        for size in sizes:
            runs[size].append(measure(*size))
            print(f"round {number + 1}/{rounds} {size}: {runs[size][-1]}", file=sys.stderr)
    columns = ["stocks", *LINKS, "all links", "features, s/M prices", "peak GiB"]
    table("seconds by size of the universe", columns, [line(*size, runs[size]) for size in sizes])


if __name__ == "__main__":
    typer.run(main)
