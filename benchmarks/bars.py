"""Bars a second through check, store and features, and memory, by the number of bars.

Run by `make bench`. Two questions, each measured in processes of their own, in alternating rounds:
many one-minute symbols of 100,000 bars, one after another, and one desk of millions of one-minute
bars through every link up to the dataset.
"""

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import pandas as pd
import typer

from rl_core.cli.show import table
from rl_core.desk import parse_desk
from rl_core.kinds.registry import kind_of
from rl_core.lab.markets.spot import simulate_bars
from rl_core.market.bars import require_bar_contract
from rl_core.market.quality import assess_quality
from rl_core.steps.backtest_history import HISTORY
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.runner import build
from rl_core.store.parts import write_parts

SYMBOL_BARS = 100_000  # a year of a stock's minutes
LINKS = ("bars", "backtest_history", "offline_dataset")
STAGES = ("check", "store", "features")


def desk_on(path: Path) -> DeskContext:
    """A desk of one-minute bars."""
    settings = {
        "name": "bench",
        "bars": {"path": str(path), "symbol": "BENCH", "interval": "1min"},
        "quality": {"severity": {"prices_move": "warn"}},
    }
    return DeskContext.open(parse_desk(settings, "bench"), path.parent)


def timed(seconds: dict[str, float], name: str, run: Callable[[], object]) -> None:
    """Add what a call takes to a stage."""
    started = time.perf_counter()
    run()
    seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - started


def measure_symbols(millions: float) -> dict[str, float]:
    """Seconds of each stage over all symbols, one after another."""
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        context = desk_on(Path(name) / "unused.parquet")
        desk, interval_ns = context.desk, context.desk.bars.interval_ns
        kind = kind_of(desk)
        bars = simulate_bars(SYMBOL_BARS, seed=1, interval="1min")
        for number in range(round(millions * 1e6 / SYMBOL_BARS)):
            scaled = bars.assign(
                **{n: bars[n] * (1 + number / 100) for n in ("open", "high", "low", "close")}
            )
            folder = Path(name) / str(number)
            folder.mkdir()

            def check(rows: pd.DataFrame = scaled) -> None:
                require_bar_contract(rows)
                assess_quality(rows, interval_ns, desk.quality)

            timed(seconds, "check", check)
            timed(
                seconds, "store", lambda b=scaled, f=folder: write_parts(b, f, "bars", interval_ns)
            )
            timed(seconds, "features", lambda b=scaled: kind.prepare(b, None, None))
    return {**seconds, "peak_gib": peak_gib()}


def measure_desk(millions: float) -> dict[str, float]:
    """Seconds of each link of one desk, up to the dataset."""
    seconds: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "bars.parquet"
        simulate_bars(round(millions * 1e6), seed=1, interval="1min").to_parquet(path, index=False)
        context = desk_on(path)
        for step in (BARS, HISTORY, OFFLINE_DATASET):
            timed(seconds, step.name, lambda s=step: build(context, s))
    return {**seconds, "peak_gib": peak_gib()}


def peak_gib() -> float:
    """Memory at the peak of this process, GiB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def measure(what: str, millions: float) -> dict[str, float]:
    """The same in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bars", "--only", what, str(millions)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(result.stdout.splitlines()[-1])


def line(millions: float, stages: Sequence[str], runs: Sequence[dict[str, float]]) -> list[str]:
    """Medians of a size: millions of bars a second by stage, and memory."""
    middle = {name: median(run[name] for run in runs) for name in runs[0]}
    rates = [f"{millions / middle[stage]:.2f}" for stage in stages]
    whole = sum(middle[stage] for stage in stages)
    return [f"{millions:g}", *rates, f"{whole:.1f}", f"{middle['peak_gib']:.2f}"]


def main(
    rounds: Annotated[int, typer.Option(help="Times that each size runs.")] = 3,
    symbols: Annotated[str, typer.Option(help="Millions of bars, of many symbols.")] = "1,10",
    desk: Annotated[str, typer.Option(help="Millions of bars, of one desk.")] = "1,2.5,5",
    only: Annotated[tuple[str, float] | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure every size and print it; `--symbols 1,10,100 --rounds 1` for a hundred million."""
    if only is not None:
        what, millions = only
        found = measure_symbols(millions) if what == "symbols" else measure_desk(millions)
        print(json.dumps(found))
        return
    sizes = [("symbols", float(m)) for m in symbols.split(",") if m]
    sizes += [("desk", float(m)) for m in desk.split(",") if m]
    runs: dict[tuple[str, float], list[dict[str, float]]] = {size: [] for size in sizes}
    for number in range(rounds):
        for size in sizes:
            runs[size].append(measure(*size))
            print(f"round {number + 1}/{rounds} {size}: {runs[size][-1]}", file=sys.stderr)
    for what, stages in (("symbols", STAGES), ("desk", LINKS)):
        columns = ["M bars", *(f"{stage}, M/s" for stage in stages), "seconds in all", "peak GiB"]
        lines = [line(size[1], stages, runs[size]) for size in sizes if size[0] == what]
        table(f"bars of {what}: millions a second, one process", columns, lines)


if __name__ == "__main__":
    typer.run(main)
