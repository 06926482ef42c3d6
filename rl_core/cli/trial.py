"""`tollgate gate-trial`: how often the gate is wrong."""

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from rl_core.base.errors import TollgateError
from rl_core.cli.output import AsJson, emit


def gate_trial(
    markets: Annotated[int, typer.Option(min=1, help="Markets without any signal.")] = 200,
    planted_markets: Annotated[
        int | None,
        typer.Option(
            min=1, help="Markets for each strength of planted signal; a quarter when left out."
        ),
    ] = None,
    series: Annotated[
        int, typer.Option(min=0, help="Series of each kind for the statistics alone; 0: none.")
    ] = 1000,
    processes: Annotated[
        int | None, typer.Option(min=1, help="Side by side; one for each core when left out.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option(help="Also write the report to this Markdown file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Measure how often the gate is wrong, on simulated markets whose truth is known.

    Markets without signal go through dataset, training and gate: each champion among them is a
    false positive. Markets with a planted signal of R2 = 0.5, 1, 2, 5 and 10% show the power. The
    statistics alone are tried on noise, on honest forecasts and on forecasts that cheat. Takes nine
    seconds a market and core. Example: `tollgate gate-trial --markets 20 --series 100`
    """
    from rl_core.base.progress import counter
    from rl_core.cli import show
    from rl_core.lab.trials.gate_trial import run_trial
    from rl_core.lab.trials.report import markdown

    if output is not None and (not output.parent.is_dir() or output.is_dir()):
        raise TollgateError(f"--output must be a file in an existing folder, was {output}")
    with counter("gate-trial") as tell:
        report = run_trial(
            markets,
            planted_markets or max(markets // 4, 1),
            series,
            processes or os.cpu_count() or 1,
            tell,
        )
    found: dict[str, Any] = report.model_dump(mode="json")
    emit(found, as_json, lambda _: show.markdown(markdown(report)))
    if output is not None:
        output.write_text(markdown(report) + "\n")
