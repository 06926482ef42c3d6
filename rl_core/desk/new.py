"""A new desk's YAML, written for people: the settings that differ from the defaults, and why."""

import glob
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from rl_core.base.errors import TollgateError
from rl_core.base.units import NS_PER_DAY, NS_PER_HOUR, length_ns
from rl_core.desk.files import desk_files, file_of
from rl_core.desk.kinds import parse_desk
from rl_core.offline.settings import whole_bar_horizons

HEADER = """# A desk: one trading problem. What is not set here has its default;
# `tollgate settings --desk {name}` prints every setting, `tollgate settings --schema spot`
# says what each means. Run its chain with `make demo DESK={name}`.
"""


def desk_yaml(name: str, bars: Mapping[str, Any], reasons: Mapping[str, str]) -> str:
    """The YAML of a spot desk on some bars.

    Args:
        name: of the desk.
        bars: settings of `bars`.
        reasons: setting -> why it is what it is; stands behind it.
    """
    lines = [
        HEADER.format(name=name),
        f"description: {_scalar(str(bars['symbol']) + ', spot')}",
        "bars:",
    ]
    for setting, value in bars.items():
        why = f"  # {reasons[setting]}" if setting in reasons else ""
        lines.append(f"  {setting}: {_scalar(value)}{why}")
    lines += _horizons(str(bars.get("interval", "1h")))
    lines += [
        "costs:  # fractions; what you pay, not what you hope for",
        "  commission_rate: 0.001",
        "  half_spread_rate: 0.0001",
        "  slippage_rate: 0.0005",
        "account:",
        "  initial_cash: 10000.0",
        "",
    ]
    return "\n".join(lines)


def _horizons(interval: str) -> list[str]:
    """Horizons that are whole bars, where the defaults of 1h and 24h are none."""
    bar = length_ns(interval)
    if all(length % bar == 0 for length in (NS_PER_HOUR, NS_PER_DAY)):
        return []
    names = whole_bar_horizons(bar)
    return [
        f"dataset: {{horizons: [{', '.join(names)}]}}  # how far ahead returns are predicted",
        f"splits: {{purge: {names[1]}}}  # at least the longest horizon",
    ]


def _scalar(value: Any) -> str:
    """A value as YAML reads it back: JSON is YAML."""
    return json.dumps(value)


def desk_like(name: str, other: str) -> str:
    """The YAML of another desk, with its comments, for a desk of a new name.

    Raises:
        TollgateError: no such desk, or one that a template makes.
    """
    path = file_of(other)
    text = path.read_text()
    if path.stem != other:
        raise TollgateError(f"--like must be a desk with a file of its own, was of {path}")
    header = HEADER.format(name=other).splitlines()
    began = "# Began as a copy of "
    named = [
        line for line in text.splitlines()
        if line not in header and not line.startswith(("name:", began))
    ]  # fmt: skip
    return HEADER.format(name=name) + f"# Began as a copy of {other}.\n" + "\n".join(named) + "\n"


def place_of(name: str) -> Path:
    """Where a new desk's file goes: into the folder that TOLLGATE_DESKS names.

    Raises:
        TollgateError: it names none, or there is a desk of that name.
    """
    folder = os.environ.get("TOLLGATE_DESKS")
    if not folder:
        raise TollgateError(
            "TOLLGATE_DESKS must name the folder of your desks, was not set: "
            "mkdir desks && export TOLLGATE_DESKS=desks"
        )
    taken = [*desk_files().get(name, []), *Path(folder).glob(f"{glob.escape(name)}.y*ml")]
    if taken:
        raise TollgateError(f"the name of a desk must be new, was {name}: {taken[0]}")
    return Path(folder) / f"{name}.yaml"


def write_desk(name: str, text: str, path: Path) -> None:
    """Write a new desk's file, once it is a desk.

    Raises:
        TollgateError: the settings are wrong; nothing is written.
    """
    parse_desk({"name": name, **yaml.safe_load(text)}, str(path))
    with path.open("x") as file:  # whatever came to lie there since is left alone
        file.write(text)
