"""A new desk's YAML, written for people: the settings that differ from the defaults, and why."""

import json
from collections.abc import Mapping
from typing import Any

from rl_core.base.units import NS_PER_DAY, NS_PER_HOUR, length_ns
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
