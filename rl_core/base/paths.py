"""Where the project lies, and where it keeps its data."""

import os
from pathlib import Path

from rl_core.base.errors import TollgateError

PROJECT_ROOT = Path(__file__).resolve().parents[2]


def data_root() -> Path:
    """Folder of artefacts and models: TOLLGATE_DATA, or `data/` of the project.

    Raises:
        TollgateError: TOLLGATE_DATA names something that is no folder.
    """
    root = Path(os.environ.get("TOLLGATE_DATA") or PROJECT_ROOT / "data")
    if root.exists() and not root.is_dir():
        raise TollgateError(f"TOLLGATE_DATA must be a folder, was a file: {root}")
    return root
