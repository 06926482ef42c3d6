"""A desk: one trading problem, in one YAML file that holds only what differs from the defaults.

Its `kind` says what is traded and how: `spot`, `futures` or `portfolio`. What the kinds share
stands in `DeskConfig`, and what only one of them knows in `rl_core/kinds/<kind>/settings.py`.
Desk files lie in `rl_core/desks/` and in the folder that TOLLGATE_DESKS names.
"""

from rl_core.base.paths import PROJECT_ROOT, data_root
from rl_core.desk.files import desk_files, load_desk, read_desks
from rl_core.desk.kinds import KINDS, parse_desk
from rl_core.kinds.futures.settings import FuturesDesk
from rl_core.kinds.portfolio.settings import PortfolioDesk
from rl_core.kinds.settings import DeskConfig, SeriesDesk
from rl_core.kinds.spot.settings import SpotDesk

__all__ = [
    "KINDS",
    "PROJECT_ROOT",
    "DeskConfig",
    "FuturesDesk",
    "PortfolioDesk",
    "SeriesDesk",
    "SpotDesk",
    "data_root",
    "desk_files",
    "load_desk",
    "parse_desk",
    "read_desks",
]
