"""The kinds of desk: what each knows of its state, its accounts and its environment.

The chain asks a `DeskKind` and never what kind of desk it works for. Torch is loaded only by those
methods that need it, so that a desk can be read and backtested without it.
"""

from rl_core.kinds.base import AccountWalk, DeskKind
from rl_core.kinds.futures.kind import FuturesKind
from rl_core.kinds.futures.settings import FuturesDesk
from rl_core.kinds.portfolio.kind import PortfolioKind
from rl_core.kinds.portfolio.settings import PortfolioDesk
from rl_core.kinds.settings import DeskConfig
from rl_core.kinds.spot.kind import SpotKind
from rl_core.kinds.spot.settings import SpotDesk

__all__ = ["AccountWalk", "DeskKind", "kind_of"]


def kind_of(desk: DeskConfig) -> DeskKind:
    """What a desk of spot, futures or portfolio trades, and how."""
    match desk:
        case SpotDesk():
            return SpotKind(desk)
        case FuturesDesk():
            return FuturesKind(desk)
        case PortfolioDesk():
            return PortfolioKind(desk)
        case _:
            raise TypeError(f"desk must be of a known kind, was {type(desk).__name__}")
