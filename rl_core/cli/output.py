"""What every command shares: the desk, `--json`, and one way to print a result."""

import json
from collections.abc import Callable
from typing import Annotated, Any

import typer

Desk = Annotated[str, typer.Option("--desk", help="Name of the desk; `tollgate desks` lists them.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as one JSON value.")]


def emit(result: Any, as_json: bool, show: Callable[[Any], None]) -> None:
    """Print a result for machines or for people."""
    if as_json:
        print(json.dumps(result, indent=2, allow_nan=False, default=str))
    else:
        show(result)
