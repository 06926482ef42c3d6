"""Settings by slice: the part that something was made with, what differs, and a fingerprint."""

from collections.abc import Iterable, Mapping
from typing import Any

Settings = Mapping[str, Any]


def slice_settings(
    settings: Settings, sections: Iterable[str], ignored: Iterable[str] = ()
) -> dict[str, Any]:
    """Some sections of resolved settings, without the settings in them that are ignored.

    A section that the settings lack is left out: kinds of desk differ in what they have.

    Args:
        settings: nested, as JSON.
        sections: names of top-level sections, or dotted paths into one.
        ignored: dotted paths of settings to leave out.
    """
    found: dict[str, Any] = {}
    for section in sections:
        _copy(settings, found, section.split("."))
    for path in ignored:
        *parents, leaf = path.split(".")
        branch: Any = found
        for parent in parents:
            branch = branch.get(parent, {}) if isinstance(branch, dict) else {}
        if isinstance(branch, dict):
            branch.pop(leaf, None)
    return found


def _copy(source: Settings, target: dict[str, Any], path: list[str]) -> None:
    name, *rest = path
    if name not in source:
        return
    if rest:
        _copy(source[name], target.setdefault(name, {}), rest)
    else:
        target[name] = _deep_copy(source[name])


def _deep_copy(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _deep_copy(each) for name, each in value.items()}
    return [_deep_copy(each) for each in value] if isinstance(value, list | tuple) else value


def merge_settings(*parts: Settings) -> dict[str, Any]:
    """Settings laid over each other, section by section; later parts win."""
    merged: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            known = merged.get(name)
            if isinstance(known, dict) and isinstance(value, Mapping):
                merged[name] = merge_settings(known, value)
            else:
                merged[name] = _deep_copy(value)
    return merged


def first_difference(then: Any, now: Any, name: str) -> str | None:
    """Dotted name of the first setting in which two values differ, with both values; or None."""
    if isinstance(then, dict) and isinstance(now, dict):
        for key in sorted({*then, *now}):
            if found := first_difference(then.get(key), now.get(key), f"{name}.{key}"):
                return found
        return None
    return None if then == now else f"{name} ({then}, now {now})"


def first_differing_section(then: Settings, now: Settings) -> str | None:
    """The first setting in which two slices differ, with both values; or None."""
    differences = (
        first_difference(then.get(section), now.get(section), section)
        for section in sorted({*then, *now})
    )
    return next((each for each in differences if each is not None), None)
