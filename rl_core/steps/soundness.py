"""The checks between the links, for whoever builds a chain without Dagster."""

from collections.abc import Sequence
from importlib import import_module

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError
from rl_core.steps.context import Workplace

BEFORE_TRAINING = ("bars", "backtest_history", "offline_dataset", "regime_dataset")


def link_checks(work: Workplace, link: str) -> list[Check]:
    """A link's own checks, run now on what is sealed."""
    return import_module(f"rl_core.steps.{link}").run_checks(work)


def links_before(link: str) -> Sequence[str]:
    """The links whose checks stop this one; training and what follows it look at all of them."""
    known = link in BEFORE_TRAINING
    return BEFORE_TRAINING[: BEFORE_TRAINING.index(link)] if known else BEFORE_TRAINING


def require_sound(work: Workplace, links: Sequence[str] = BEFORE_TRAINING) -> None:
    """Refuse to build on links that Dagster would have stopped at.

    Raises:
        TollgateError: names the first blocking check that failed, with what it found.
    """
    for link in links:
        for check in link_checks(work, link):
            if check.is_blocking and not check.passed:
                raise TollgateError(
                    f"{link} of desk {work.desk.name} must pass {check.name}, was refused: "
                    f"{check.detail}"
                )
