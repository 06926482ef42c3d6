"""Environment steps a second, learning included, beside the peers. Run by `make bench`.

Rounds alternate between the contenders, so that a noisy machine disturbs all alike: compare the
ratios, which are taken within each round.
"""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Annotated

import typer

from benchmarks.contenders import TABLES, Contender
from rl_core.cli.show import table

MOST_SECONDS = 900
BUSY, IDLE = "while True: pass", ""


def measure(title: str, contender: Contender) -> float | None:
    """One run in a process of its own; None if it failed."""
    command = [sys.executable, "-m", "benchmarks.training", "--only", title, contender.name]
    neighbour = BUSY if contender.has_neighbour else IDLE
    with subprocess.Popen([sys.executable, "-c", neighbour]) as beside:
        try:
            result = subprocess.run(
                command, capture_output=True, text=True, timeout=MOST_SECONDS, check=False,
                env={**os.environ, **contender.environ},
            )  # fmt: skip
        finally:
            beside.kill()
    if result.returncode:
        print(f"{contender.name} failed:\n{result.stderr[-2000:]}", file=sys.stderr)
        return None
    return float(json.loads(result.stdout.splitlines()[-1]))


def run_table(title: str, contenders: Sequence[Contender], rounds: int) -> dict[str, list[float]]:
    """All contenders, round after round."""
    rates: dict[str, list[float]] = {contender.name: [] for contender in contenders}
    for number in range(1, rounds + 1):
        for contender in contenders:
            rate = measure(title, contender)
            if rate is not None:
                rates[contender.name].append(rate)
                print(f"round {number}/{rounds} {contender.name}: {rate:,.0f}", file=sys.stderr)
    return rates


def show(title: str, rates: dict[str, list[float]]) -> None:
    """A line a contender: median, range, and how many times slower than the first of its round."""
    first, *_ = rates.values()
    lines = [
        [
            name,
            f"{median(each):,.0f}" if each else "failed",
            f"{min(each):,.0f} to {max(each):,.0f}" if each else "",
            f"{median(f / e for f, e in zip(first, each, strict=False)):.1f}" if each else "",
        ]
        for name, each in rates.items()
    ]
    table(title, ["", "steps/s, median", "range", "times slower"], lines)


def main(
    rounds: Annotated[int, typer.Option(help="Times that each contender runs.")] = 3,
    output: Annotated[Path | None, typer.Option(help="Write all rates to this JSON file.")] = None,
    tables: Annotated[str, typer.Option(help="Only tables whose title has this in it.")] = "",
    only: Annotated[tuple[str, str] | None, typer.Option(hidden=True)] = None,
) -> None:
    """Measure every table and print it."""
    if only is not None:
        title, name = only
        print(json.dumps(next(c for c in TABLES[title] if c.name == name).run()))
        return
    found: dict[str, dict[str, list[float]]] = {}
    for title, contenders in TABLES.items():
        if tables in title:
            found[title] = run_table(title, contenders, rounds)
            show(title, found[title])
    if output is not None:
        output.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    typer.run(main)
