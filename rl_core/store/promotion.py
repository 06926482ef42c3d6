"""Champions by hand: promotion with a reason, and the way back."""

import getpass
from datetime import UTC, datetime
from typing import cast, get_args

from rl_core.base.errors import TollgateError
from rl_core.store.models import ModelStore, Promotion, Stage

SHORTEST_REASON = 10  # characters


def promote(store: ModelStore, version: str, reason: str) -> Promotion:
    """Make a version champion and write who did so, why, and against which checks.

    Raises:
        TollgateError: no such version, it was changed, or the reason says nothing.
    """
    said = " ".join(reason.split())
    if len(said) < SHORTEST_REASON:
        raise TollgateError(
            f"--reason must say why in at least {SHORTEST_REASON} characters, was {said!r}"
        )
    with store.lock("promoting in"):
        manifest = store.version(version).manifest
        promotion = Promotion(
            reason=said,
            by=getpass.getuser(),
            promoted_at=datetime.now(UTC).isoformat(timespec="seconds"),
            unmet=[check.name for check in manifest.checks if not check.passed],
        )
        return store.promote(version, promotion).manifest.promotions[-1]


def roll_back(store: ModelStore, version: str, stage: str) -> None:
    """Serve an earlier version again.

    Raises:
        TollgateError: no such version or stage, or a champion that never was one.
    """
    if stage not in get_args(Stage):
        raise TollgateError(f"--stage must be one of {', '.join(get_args(Stage))}, was {stage}")
    with store.lock("rolling back in"):
        found = store.version(version).manifest
        if stage == "champion" and found.stage != "champion" and not found.promotions:
            raise TollgateError(
                f"a champion must have been one before, was {version}, a {found.stage}: use "
                'tollgate models promote --reason "…"'
            )
        store.point(cast(Stage, stage), version)
