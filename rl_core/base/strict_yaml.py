"""YAML without its traps.

No repeated keys, which win silently; no aliases, which can explode; no numbers in base 60 or 8.
"""

import re
from pathlib import Path
from typing import Any

import yaml

from rl_core.base.errors import TollgateError
from rl_core.base.files import read_regular

LARGEST_BYTES = 1_000_000


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses both, and reads numbers as people write them."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        if repeated := next((key for i, key in enumerate(keys) if key in keys[:i]), None):
            raise yaml.MarkedYAMLError(
                problem=f"key {repeated} stands twice", problem_mark=node.start_mark
            )
        return super().construct_mapping(node, deep)

    def compose_node(self, parent: Any, index: Any) -> Any:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark
            raise yaml.MarkedYAMLError(problem="aliases are not allowed", problem_mark=mark)
        return super().compose_node(parent, index)


# YAML 1.1 reads 1:30 as ninety and 0100 as sixty-four: those stay text, which no number takes
_INTEGER = re.compile(r"^[-+]?(0|[1-9][0-9_]*)$")
_FLOAT = re.compile(
    r"^[-+]?([0-9][0-9_]*\.[0-9_]*([eE][-+]?[0-9]+)?|[0-9]+[eE][-+]?[0-9]+|\.[0-9]+([eE][-+]?[0-9]+)?"
    r"|\.(inf|Inf|INF|nan|NaN|NAN))$"
)
_NUMBERS = {"tag:yaml.org,2002:int": _INTEGER, "tag:yaml.org,2002:float": _FLOAT}
_StrictLoader.yaml_implicit_resolvers = {
    first: [(tag, _NUMBERS.get(tag, pattern)) for tag, pattern in resolvers]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping strictly.

    Raises:
        TollgateError: with file and line.
    """
    try:
        loaded = yaml.load(read_regular(path, LARGEST_BYTES).decode(), Loader=_StrictLoader)
    except RecursionError:
        raise TollgateError(f"{path} must be plain YAML: nested too deep") from None
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, TollgateError):
            raise
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise TollgateError(f"{path}{line} must be plain YAML: {problem}") from None
    if not isinstance(loaded, dict):
        raise TollgateError(f"{path} must hold settings by name, was {type(loaded).__name__}")
    return loaded
