"""A deployed model, verified and loaded once, that answers many times.

Nothing here reads a source of bars or trains or judges: whoever asks brings the bars.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd
import torch

from rl_core.base.errors import TollgateError, validated
from rl_core.desk import parse_desk
from rl_core.features.prepare import PreparedMarket
from rl_core.kinds.base import DeskKind
from rl_core.kinds.registry import kind_of
from rl_core.kinds.settings import DeskConfig
from rl_core.learning.models.policy_file import Policy, load_policy
from rl_core.learning.policy_walk import memory_before
from rl_core.serving.answer import decide_state
from rl_core.store.intervals import ReturnInterval
from rl_core.store.models import Version

CPU = torch.device("cpu")


@dataclass(frozen=True)
class LoadedModel:
    """A policy with the settings that it is served with."""

    policy: Policy
    desk: DeskConfig  # the serving slice of its settings; everything else is at its default
    intervals: Mapping[str, ReturnInterval]  # by horizon
    memory_bars: int | None  # of a recurrent policy

    @classmethod
    def of_version(cls, version: Version) -> LoadedModel:
        """Verify a version and load it.

        Raises:
            TollgateError: a file was changed, a weight is not finite, or a setting is unknown.
        """
        manifest = version.manifest
        where = f"settings of {manifest.version}"
        desk = parse_desk(manifest.serving, where)
        policy = load_policy(version.folder, kind_of(desk).state.names)
        intervals = {
            horizon: validated(ReturnInterval, each, f"intervals of {manifest.version}")
            for horizon, each in manifest.intervals.items()
        }
        return cls(policy, desk, intervals, memory_of(version, policy))

    @cached_property
    def kind(self) -> DeskKind:
        """The `DeskKind` that the model is served with."""
        return kind_of(self.desk)

    def prepare(self, bars: pd.DataFrame, sentiment: pd.DataFrame | None) -> PreparedMarket:
        """Compute what the policy sees, with the settings and thresholds of its training.

        Raises:
            TollgateError: too few bars for one complete state.
        """
        market = self.kind.prepare(bars, sentiment, self.policy.spec.thresholds)
        if market.first_bar >= len(market.bars):
            raise TollgateError(
                f"bars must outlast the indicators' warm-up, was {len(market.bars)} bars"
            )
        return market

    def answer(self, market: PreparedMarket, account: Mapping[str, float]) -> dict[str, Any]:
        """Decide at the close of the last bar.

        Args:
            market: as `prepare` gives it.
            account: figures of the one who asks; nothing but cash where they are left out.

        Returns:
            As `decide_state`, and what the decision means on this kind of desk.

        Raises:
            TollgateError: an account that cannot be, or an answer that is not finite.
        """
        state = np.concatenate([market.features[-1], self.kind.account_state(market, account)])
        decision = decide_state(self.policy, state, self._memory(market), self._half_widths(market))
        details = self.kind.decision_details(
            market, account, decision["action"], decision["strength"] or 0.0
        )
        return {**decision, **details}

    def _memory(self, market: PreparedMarket) -> torch.Tensor | None:
        if not self.policy.model.is_recurrent:
            return None
        trading = self.kind.trading(market, CPU, self.memory_bars)
        return memory_before(self.policy.model, trading, len(market.bars) - 1, market.first_bar)

    def _half_widths(self, market: PreparedMarket) -> dict[str, float]:
        """Half the width of each horizon's interval at the last bar, as a fraction."""
        volatility = float(np.nan_to_num(market.indicators.volatility[-1]))
        return {
            horizon: each.half_width * max(volatility, each.volatility_floor)
            for horizon, each in self.intervals.items()
        }


def memory_of(version: Version, policy: Policy) -> int | None:
    """How many bars a deployed policy remembers; schema 1 kept that in the training's settings."""
    if not policy.model.is_recurrent:
        return None
    return policy.spec.memory_bars or version.manifest.memory_bars
