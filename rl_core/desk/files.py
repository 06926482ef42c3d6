"""Where desks lie: in YAML files, one each, or one for many (`template`)."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rl_core.base.errors import TollgateError
from rl_core.base.strict_yaml import read_yaml
from rl_core.desk.kinds import parse_desk
from rl_core.desk.template import KEY, desks_of
from rl_core.kinds.settings import DeskConfig

PACKAGED_DESKS = Path(__file__).parents[1] / "desks"
ENDINGS = {".yaml", ".yml"}


@dataclass(frozen=True)
class _Found:
    """A desk's settings as they stand in a file, or what is wrong with the file."""

    path: Path
    settings: dict[str, Any] | None
    problem: str = ""


def desk_files() -> dict[str, list[Path]]:
    """Desk name -> its YAML file, `.yaml` or `.yml`; several where they claim one name.

    Raises:
        TollgateError: TOLLGATE_DESKS is no folder.
    """
    return {name: [each.path for each in found] for name, found in _scan().items()}


def file_of(name: str) -> Path:
    """The file that a desk stands in.

    Raises:
        TollgateError: there is no such desk.
    """
    return _named(name)[0].path


def load_desk(name: str) -> DeskConfig:
    """Read and validate a desk by name.

    Raises:
        TollgateError: no such desk, two files of its name, or its file is wrong; one line says
            what and where.
    """
    return _desk(name, _named(name))


def read_desks() -> tuple[list[DeskConfig], dict[str, str]]:
    """Every desk whose file is right, and for every other one, by name, what is wrong with it."""
    desks: list[DeskConfig] = []
    broken: dict[str, str] = {}
    for name, found in _scan().items():
        try:
            desks.append(_desk(name, found))
        except TollgateError as error:
            broken[name] = str(error)
    return desks, broken


def _scan() -> dict[str, list[_Found]]:
    folders = [PACKAGED_DESKS]
    if extra := os.environ.get("TOLLGATE_DESKS"):
        folders.append(Path(extra))
        if not folders[-1].is_dir():
            raise TollgateError(f"TOLLGATE_DESKS must be a folder, was {extra}")
    found: dict[str, list[_Found]] = {}
    for path in [file for folder in folders for file in sorted(folder.iterdir())]:
        if path.suffix in ENDINGS and not path.name.startswith("."):
            for name, each in _desks_in(path).items():
                found.setdefault(name, []).append(each)
    return found


def _named(name: str) -> list[_Found]:
    found = _scan()
    if name not in found:
        raise TollgateError(f"desk must be one of {', '.join(found)}, was {name}")
    return found[name]


def _desks_in(path: Path) -> dict[str, _Found]:
    """Name -> desk of a file; a file that cannot be read is a broken desk of its own name."""
    try:
        settings = read_yaml(path)
        if KEY in settings:
            return {name: _Found(path, desk) for name, desk in desks_of(settings, path).items()}
    except TollgateError as error:
        return {path.stem: _Found(path, None, str(error))}
    return {path.stem: _Found(path, settings)}


def _desk(name: str, found: list[_Found]) -> DeskConfig:
    if len(found) > 1:
        claims = " and ".join(str(each.path) for each in found)
        raise TollgateError(f"desk names must differ, was {name} in {claims}")
    path, settings = found[0].path, found[0].settings
    if settings is None:
        raise TollgateError(found[0].problem)
    if settings.setdefault("name", name) != name:
        raise TollgateError(f"name in {path} must be {name}, like the file, was {settings['name']}")
    return parse_desk(settings, str(path))
