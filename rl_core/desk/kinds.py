"""The kinds of desk: what only one of them knows."""

from collections.abc import Mapping
from typing import Any

from rl_core.base.errors import TollgateError, validated
from rl_core.kinds.futures.settings import (
    FuturesDesk,
)
from rl_core.kinds.portfolio.settings import PortfolioDesk
from rl_core.kinds.settings import DeskConfig
from rl_core.kinds.spot.settings import SpotDesk

KINDS: Mapping[str, type[DeskConfig]] = {
    "spot": SpotDesk,
    "futures": FuturesDesk,
    "portfolio": PortfolioDesk,
}


def parse_desk(settings: Mapping[str, Any], where: str) -> DeskConfig:
    """Settings as a desk of their kind; `spot` where they do not say.

    Raises:
        TollgateError: the first thing that is wrong with them, in one line.
    """
    kind = settings.get("kind", "spot")
    if kind not in KINDS:
        raise TollgateError(f"{where}: kind: must be one of {', '.join(KINDS)}, was {kind!r}")
    return validated(KINDS[kind], dict(settings), where)
