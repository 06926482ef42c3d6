"""`tollgate data`: look at a file of bars, and make a desk of it."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rl_core.base.errors import TollgateError
from rl_core.cli.output import AsJson, emit

if TYPE_CHECKING:
    from rl_core.base.checks import Check
    from rl_core.market.inspection import Inspection

data = typer.Typer(no_args_is_help=True, help="Look at a file of bars, and make a desk of it.")

File = Annotated[
    Path,
    typer.Argument(
        help="CSV (any delimiter, compressed or not), Parquet, Feather or DuckDB; a folder or a "
        "pattern of such files."
    ),
]
Interval = Annotated[str | None, typer.Option(help="A bar's length, for example 1h; else found.")]
Timezone = Annotated[str | None, typer.Option(help="Of times that carry none; UTC otherwise.")]
Symbol = Annotated[str | None, typer.Option(help="The instrument; by the file's name otherwise.")]
Table = Annotated[str | None, typer.Option(help="Table of a DuckDB file.")]


@data.command()
def check(
    file: File,
    symbol: Symbol = None,
    interval: Interval = None,
    timezone: Timezone = None,
    table: Table = None,
    as_json: AsJson = False,
) -> None:
    """Print what a file of bars is understood as, and what is odd about it. Writes nothing.

    Exit 1 if a check fails that would stop a desk's chain, 2 if the file cannot be read or breaks
    the bar contract. Example: `tollgate data check BTC-USD_1h.csv`
    """
    _, checks, error = _inspected(file, symbol, interval, timezone, table, as_json)
    if error is not None:
        raise typer.Exit(2)
    if any(each.is_blocking and not each.passed for each in checks):
        raise typer.Exit(1)


@data.command()
def add(
    file: File,
    desk: Annotated[str, typer.Option("--desk", help="Name of the new desk: a-z, 0-9 and _.")],
    symbol: Symbol = None,
    interval: Interval = None,
    timezone: Timezone = None,
    table: Table = None,
    as_json: AsJson = False,
) -> None:
    """Write the desk of a file of bars into the folder that TOLLGATE_DESKS names.

    Prints what the file is understood as; each setting stands in the YAML with its reason. Example:
    `TOLLGATE_DESKS=desks tollgate data add BTC-USD_1h.csv --desk my_btc`
    """
    from rl_core.desk.new import desk_yaml, place_of, write_desk

    path = place_of(desk)
    found, _, error = _inspected(file.resolve(), symbol, interval, timezone, table, as_json)
    if error is not None:
        raise typer.Exit(2)
    write_desk(desk, desk_yaml(desk, found.settings, found.reasons), path)
    if not as_json:
        print(f"wrote {path}\nnext: tollgate build bars --desk {desk}, or make demo DESK={desk}")


def _inspected(
    file: Path,
    symbol: str | None,
    interval: str | None,
    timezone: str | None,
    table: str | None,
    as_json: bool,
) -> "tuple[Inspection, list[Check], str | None]":
    """Inspect a file and print it; also its checks, and how it breaks the contract."""
    from rl_core.cli import show
    from rl_core.market.inspection import inspect_file
    from rl_core.market.readers import checked_bars
    from rl_core.market.settings import QualityConfig
    from rl_core.steps.bars import checks_of

    said = {"symbol": symbol, "interval": interval, "timezone": timezone, "table": table}
    found = inspect_file(file, {name: value for name, value in said.items() if value is not None})
    checks = checks_of(found.report, QualityConfig())
    error = None
    try:
        checked_bars(found.raw, found.config)
    except TollgateError as refused:
        error = str(refused)
    result = {
        "file": str(file),
        "settings": found.settings,
        "found": _rows(found),
        "notes": found.report.notes,
        "checks": [each.model_dump() for each in checks],
        "error": error,
    }
    emit(result, as_json, show.inspection)
    return found, checks, error


def _rows(found: "Inspection") -> list[dict[str, Any]]:
    """What the file is, a line each: what, found, why."""
    report, settings = found.report, found.settings
    facts: dict[str, Any] = {
        "symbol": settings["symbol"],
        "bar size": settings["interval"],
        "time zone": settings.get("timezone", "UTC"),
        "span": f"{report.start[:16]} to {report.end[:16]}",
        "bars": report.rows,
        "missing bars": f"{report.missing_bars} in {len(report.gaps)} gaps",
        "volume": "reported" if report.has_volume else "none",
        "sessions": settings.get("sessions", {}).get("calendar", "always open"),
        "looks like splits": len(report.split_rows),
    }
    reasons = {"bar size": "interval", "time zone": "timezone"}
    others = {
        name: value
        for name, value in settings.items()
        if name in found.reasons and name not in {"symbol", "interval", "sessions", "volume"}
    }
    return [
        {"what": name, "found": value, "why": found.reasons.get(reasons.get(name, name), "")}
        for name, value in {**facts, **others}.items()
    ]
