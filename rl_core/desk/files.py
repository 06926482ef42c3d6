"""Where desks lie: one YAML file each."""

import os
from pathlib import Path

from rl_core.base.errors import TollgateError
from rl_core.base.strict_yaml import read_yaml
from rl_core.desk.kinds import parse_desk
from rl_core.kinds.settings import DeskConfig

PACKAGED_DESKS = Path(__file__).parents[1] / "desks"
ENDINGS = {".yaml", ".yml"}


def desk_files() -> dict[str, list[Path]]:
    """Desk name -> its YAML file, `.yaml` or `.yml`; several where they claim one name.

    Raises:
        TollgateError: TOLLGATE_DESKS is no folder.
    """
    folders = [PACKAGED_DESKS]
    if extra := os.environ.get("TOLLGATE_DESKS"):
        folders.append(Path(extra))
        if not folders[-1].is_dir():
            raise TollgateError(f"TOLLGATE_DESKS must be a folder, was {extra}")
    files: dict[str, list[Path]] = {}
    for path in [file for folder in folders for file in sorted(folder.iterdir())]:
        if path.suffix in ENDINGS and not path.name.startswith("."):
            files.setdefault(path.stem, []).append(path)
    return files


def load_desk(name: str) -> DeskConfig:
    """Read and validate a desk by name.

    Raises:
        TollgateError: no such desk, two files of its name, or its file is wrong; one line says
            what and where.
    """
    files = desk_files()
    if name not in files:
        raise TollgateError(f"desk must be one of {', '.join(files)}, was {name}")
    path, *others = files[name]
    if others:
        claims = " and ".join(str(file) for file in files[name])
        raise TollgateError(f"desk names must differ, was {name} in {claims}")
    settings = read_yaml(path)
    if settings.setdefault("name", name) != name:
        raise TollgateError(f"name in {path} must be {name}, like the file, was {settings['name']}")
    return parse_desk(settings, str(path))


def read_desks() -> tuple[list[DeskConfig], dict[str, str]]:
    """Every desk whose file is right, and for every other one, by name, what is wrong with it."""
    desks: list[DeskConfig] = []
    broken: dict[str, str] = {}
    for name in desk_files():
        try:
            desks.append(load_desk(name))
        except TollgateError as error:
            broken[name] = str(error)
    return desks, broken
