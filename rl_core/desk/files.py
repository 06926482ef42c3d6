"""Where desks lie: one YAML file each."""

import os
from pathlib import Path

from rl_core.base.errors import TollgateError
from rl_core.base.strict_yaml import read_yaml
from rl_core.desk.kinds import parse_desk
from rl_core.kinds.settings import DeskConfig

PROJECT_ROOT = Path(__file__).resolve().parents[2]
PACKAGED_DESKS = Path(__file__).parents[1] / "desks"


def desk_files() -> dict[str, Path]:
    """Desk name -> its YAML file.

    Raises:
        TollgateError: TOLLGATE_DESKS is no folder, or two files have one name.
    """
    folders = [PACKAGED_DESKS]
    if extra := os.environ.get("TOLLGATE_DESKS"):
        folders.append(Path(extra))
        if not folders[-1].is_dir():
            raise TollgateError(f"TOLLGATE_DESKS must be a folder, was {extra}")
    files: dict[str, Path] = {}
    for path in [file for folder in folders for file in sorted(folder.glob("*.yaml"))]:
        if path.stem in files:
            raise TollgateError(
                f"desk names must differ, was {path.stem} in {files[path.stem]} and {path}"
            )
        files[path.stem] = path
    return files


def load_desk(name: str) -> DeskConfig:
    """Read and validate a desk by name.

    Raises:
        TollgateError: no such desk, or its file is wrong; one line says what and where.
    """
    files = desk_files()
    if name not in files:
        raise TollgateError(f"desk must be one of {', '.join(files)}, was {name}")
    path = files[name]
    settings = read_yaml(path)
    if settings.setdefault("name", name) != name:
        raise TollgateError(f"name in {path} must be {name}, like the file, was {settings['name']}")
    return parse_desk(settings, str(path))


def load_desks() -> list[DeskConfig]:
    """Every desk."""
    return [load_desk(name) for name in desk_files()]


def data_root() -> Path:
    """Where artefacts and models are kept: TOLLGATE_DATA, or `data/` of the project."""
    return Path(os.environ.get("TOLLGATE_DATA", PROJECT_ROOT / "data"))
