"""One file, many desks: a template with the symbols that it is for.

    desks:
      template: {bars: {path: prices/{symbol}.csv, interval: 1h}}
      symbols: [BTC-USD, ETH-USD]

makes the desks `<file>_btc_usd` and `<file>_eth_usd`. Text in the template may hold `{symbol}` and
`{name}`; `bars.symbol` is the symbol where the template leaves it out. A symbol may have settings
of its own: `symbols: {BTC-USD: {}, ETH-USD: {costs: {half_spread_rate: 0.0002}}}`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from rl_core.base.errors import TollgateError, validated

KEY = "desks"
MOST_DESKS = 2000


class DeskTemplate(BaseModel):
    """What stands under `desks` in a file of many."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template: dict[str, Any]
    symbols: list[str] | dict[str, dict[str, Any]] = Field(min_length=1, max_length=MOST_DESKS)


def desks_of(settings: Mapping[str, Any], path: Path) -> dict[str, dict[str, Any]]:
    """Desk name -> its settings, of a file with a template.

    Raises:
        TollgateError: the file holds something else too, or two symbols make one name.
    """
    if others := sorted(set(settings) - {KEY}):
        raise TollgateError(f"{path} must hold {KEY} alone, was with {', '.join(others)} too")
    given = validated(DeskTemplate, settings[KEY], f"{path}: {KEY}")
    own: dict[str, dict[str, Any]] = {symbol: {} for symbol in given.symbols}
    if isinstance(given.symbols, dict):
        own |= given.symbols
    if len(own) < len(given.symbols):
        raise TollgateError(f"{path}: symbols must differ, was one of them twice")
    found: dict[str, dict[str, Any]] = {}
    for symbol, settings_of_symbol in own.items():
        name = f"{path.stem}_{re.sub(r'[^a-z0-9]+', '_', symbol.lower()).strip('_')}"
        if name in found:
            raise TollgateError(f"{path}: symbols must make different names, was {name} twice")
        desk = _filled(given.template, {"symbol": symbol, "name": name})
        bars = desk.get("bars")
        if isinstance(bars, dict):
            bars.setdefault("symbol", symbol)
        found[name] = _merged(desk, settings_of_symbol)
    return found


def _filled(value: Any, words: Mapping[str, str]) -> Any:
    """A copy of some settings with the words put into their texts."""
    if isinstance(value, dict):
        return {key: _filled(each, words) for key, each in value.items()}
    if isinstance(value, list):
        return [_filled(each, words) for each in value]
    if isinstance(value, str):
        if unknown := set(re.findall(r"(?<!\$)\{(\w+)\}", value)) - set(words):
            raise TollgateError(
                f"a template's words must be {', '.join(words)}, was {{{unknown.pop()}}}"
            )
        for word, meaning in words.items():
            value = value.replace(f"{{{word}}}", meaning)
    return value


def _merged(settings: dict[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Settings with some of their own, section by section."""
    merged = dict(settings)
    for key, value in own.items():
        section = merged.get(key)
        if isinstance(section, dict) and isinstance(value, dict):
            merged[key] = _merged(section, value)
        else:
            merged[key] = value
    return merged
