"""The kinds of desk: what each knows of its state, its accounts and its environment.

The chain asks a `Family` and never what kind of desk it works for. Torch is loaded only by those
methods that need it, so that a desk can be read and backtested without it.
"""

from rl_core.desk import DeskConfig, FuturesDesk, PortfolioDesk, SpotDesk
from rl_core.families.core import AccountWalk, Family
from rl_core.families.futures import FuturesFamily
from rl_core.families.portfolio import PortfolioFamily
from rl_core.families.spot import SpotFamily

__all__ = ["AccountWalk", "Family", "family_of"]


def family_of(desk: DeskConfig) -> Family:
    """The family of a desk's kind."""
    match desk:
        case SpotDesk():
            return SpotFamily(desk)
        case FuturesDesk():
            return FuturesFamily(desk)
        case PortfolioDesk():
            return PortfolioFamily(desk)
        case _:
            raise TypeError(f"desk must be of a known kind, was {type(desk).__name__}")
