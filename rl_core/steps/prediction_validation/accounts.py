"""The accounts that a judged policy stands beside, on the span that it traded."""

import numpy as np

from rl_core.judging.accounts import CHAMPION, CONTENDERS, POLICY, TEACHER
from rl_core.judging.figures import SkillReport
from rl_core.kinds.base import AccountWalk
from rl_core.steps.prediction_validation.champion import ChampionWalk
from rl_core.steps.prediction_validation.contenders import contenders
from rl_core.steps.prediction_validation.judged import JudgedPolicy
from rl_core.trading.performance import Performance


def accounts(judged: JudgedPolicy, rival: ChampionWalk | None) -> dict[str, AccountWalk]:
    """The policy's account, and by name those of all who stand beside it."""
    first, last = judged.span
    walks = {POLICY: judged.account, **others(judged, first, last - first + 1)}
    if rival is not None and rival.walk is not None:
        walks[CHAMPION] = rival.walk
    for name, contender in contenders(judged, CONTENDERS).items():
        walks[name] = contender.walk(judged, judged.span)
    return walks


def others(judged: JudgedPolicy, first: int, num_bars: int) -> dict[str, AccountWalk]:
    """The accounts of the teacher and the benchmarks from a bar on."""
    kind, bar = judged.context.kind, judged.dataset["bar"]
    rows = judged.dataset[(bar >= first) & (bar < first + num_bars)]
    action, strength = rows["action"].to_numpy(np.int8), rows["strength"].to_numpy(np.float64)
    return {
        TEACHER: kind.walk(judged.market, first, action, strength),
        **kind.benchmarks(judged.market, first, len(rows)),
    }


def with_intervals(walks: dict[str, AccountWalk], skill: SkillReport) -> dict[str, Performance]:
    """Each account's figures, the interval of its Sharpe ratio by bootstrap."""
    figures: dict[str, Performance] = {}
    for name, walk in walks.items():
        # nothing is tested of contenders: they keep the interval of their own standard error
        low, high = skill.sharpe_intervals.get(name, (None, None))
        known = low is not None and walk.performance.sharpe is not None
        figures[name] = walk.performance.model_copy(
            update={"sharpe_low": low, "sharpe_high": high} if known else {}
        )
    return figures
