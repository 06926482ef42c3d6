"""The only list of links.

bars -> backtest_history -> offline_dataset -> regime_dataset -> bc_policy -> ppo_policy
     -> prediction_validation -> deployed_model
"""

from collections.abc import Mapping
from typing import Any

from rl_core.base.errors import TollgateError
from rl_core.base.markdown import table
from rl_core.steps.backtest_history import HISTORY
from rl_core.steps.bars import BARS
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.deployed_model.step import DEPLOYED
from rl_core.steps.latest_bars import LATEST
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.step import Step
from rl_core.steps.walk_forward.step import WALK_FORWARD

STEPS: tuple[Step[Any], ...] = (
    BARS, HISTORY, OFFLINE_DATASET, REGIMES, CLONE, PPO, GATE, DEPLOYED, LATEST, WALK_FORWARD,
)  # fmt: skip
BY_NAME: Mapping[str, Step[Any]] = {step.name: step for step in STEPS}


def buildable() -> list[str]:
    """Names of the steps that `tollgate build` builds: those without a command of their own."""
    return [step.name for step in STEPS if step.runs == "here" and step.kept_in == "lake"]


def step_named(name: str) -> Step[Any]:
    """The step of that name, if `tollgate build` builds it.

    Raises:
        TollgateError: there is none.
    """
    if name not in buildable():
        raise TollgateError(f"link must be one of {', '.join(buildable())}, was {name}")
    return BY_NAME[name]


def chain_table() -> str:
    """The steps as the Markdown table of docs/chain.md."""
    rows: list[tuple[str, ...]] = []
    for step in STEPS:
        reads = ", ".join(step.reads) or "–"
        if step.ignores:
            reads += f" (but {', '.join(step.ignores)})"
        rows.append(
            (
                step.name,
                ", ".join(need.name for need in step.needs) or "the desk's source",
                reads,
                f"`{step.shell}`",
                ", ".join(f"**{c.name}**" if c.blocks else c.name for c in step.checks),
            )
        )
    columns = (
        "link", "made from", "sections that make it stale", "runs as", "checks (**blocking**)",
    )  # fmt: skip
    return "\n".join(table(columns, rows)) + "\n"
