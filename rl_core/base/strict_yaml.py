"""YAML without its traps: no repeated keys, which win silently, no aliases, which can explode."""

from pathlib import Path
from typing import Any

import yaml

from rl_core.base.errors import TollgateError


class _StrictLoader(yaml.SafeLoader):
    """A safe loader that refuses both."""

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


def read_yaml(path: Path) -> dict[str, Any]:
    """Read a YAML mapping strictly.

    Raises:
        TollgateError: with file and line.
    """
    try:
        loaded = yaml.load(path.read_text(), Loader=_StrictLoader)
    except (yaml.YAMLError, UnicodeDecodeError, OSError) as error:
        mark = getattr(error, "problem_mark", None)
        line = f" line {mark.line + 1}" if mark else ""
        problem = getattr(error, "problem", None) or str(error).splitlines()[0]
        raise TollgateError(f"{path}{line} must be plain YAML: {problem}") from None
    if not isinstance(loaded, dict):
        raise TollgateError(f"{path} must hold settings by name, was {type(loaded).__name__}")
    return loaded
