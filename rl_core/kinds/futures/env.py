"""Futures environment: N accounts trading one future with brackets, through the backtest's fills.

`step` is a pure function: decide at the close of bar t, live through bar t + 1 by the rules of
`trading/brackets.py`. An episode goes on over rollouts and sessions until it has lasted long enough
or a rule is broken. Shapes: N accounts, B bars, F market features.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple, Self

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from rl_core.features.prepare import PreparedMarket
from rl_core.kinds.futures.settings import FuturesEnvConfig, FuturesTrading
from rl_core.learning.envs.core import (
    MarketEnvironment,
    Observation,
    Step,
    StepAccounting,
    where_ended,
)
from rl_core.learning.envs.curriculum import Ramp, ramped
from rl_core.trading.brackets import (
    RULES,
    TARGET,
    Account,
    Bar,
    bracket_features,
    new_account,
    trade_bar,
)
from rl_core.trading.terms import Rulebook, Terms

REWARD_TERMS = ("profit", "target_bonus", "idle_penalty", "exploration_bonus")


@dataclass(frozen=True, slots=True)
class FuturesMarket:
    """Price history shared by every account; one row a bar, so that a step gathers once."""

    bars: Tensor  # (B, 8) open, high, low, close, ATR at the close before, ATR, starts, ends
    features: Tensor  # (B, F) float32, each row known at that bar's close

    @classmethod
    def from_prepared(
        cls, market: PreparedMarket, device: torch.device, dtype: torch.dtype = torch.float32
    ) -> Self:
        """Put a prepared market with sessions on a device."""
        atr, clock = market.atr_points, market.session_clock
        columns = [
            *(market.bars[name].to_numpy() for name in ("open", "high", "low", "close")),
            np.concatenate([atr[:1], atr[:-1]]),
            atr,
            clock.starts,
            clock.ends,
        ]
        return cls(
            bars=torch.tensor(np.column_stack(columns), dtype=dtype, device=device),
            features=torch.tensor(market.features, device=device),
        )


class FuturesReward(NamedTuple):
    """What the parts of the reward are worth."""

    usd_per_unit: float
    target_bonus: float
    idle_penalty: float
    exploration_bonus: Tensor | float


@dataclass(frozen=True, slots=True)
class FuturesParams:
    """What the market does not say."""

    terms: Terms  # as they stand now
    full_terms: Terms  # the desk's own: the unit of what an account sees
    rules: Rulebook
    reward: FuturesReward
    ramps: Mapping[str, Tensor]  # what is ramped, () each, as it stands now

    @classmethod
    def full(cls, trading: FuturesTrading, config: FuturesEnvConfig) -> Self:
        """Full costs and no exploration bonus: what every evaluation uses."""
        reward = config.reward
        worth = FuturesReward(
            reward.usd_per_unit, reward.target_bonus, reward.idle_penalty, exploration_bonus=0.0
        )
        return cls(trading.terms, trading.terms, trading.rulebook, worth, {})

    @classmethod
    def at_progress(
        cls,
        trading: FuturesTrading,
        config: FuturesEnvConfig,
        progress: float,
        device: torch.device,
    ) -> Self:
        """As they are when a share of the training, 0..1, is done."""
        goals: dict[str, tuple[Ramp | None, float]] = {
            "commission_usd": (config.curriculum.commission_usd, trading.costs.commission_usd),
            "stop": (config.curriculum.stop, trading.brackets.stop),
            "target": (config.curriculum.target, trading.brackets.target),
            "max_contracts": (config.curriculum.max_contracts, trading.account.max_contracts),
            "max_holding_bars": (
                config.curriculum.max_holding_bars, trading.brackets.max_holding_bars,
            ),
            "exploration_bonus": (
                Ramp(
                    start=config.reward.exploration_bonus, until=config.reward.exploration_until
                ),
                0.0,
            ),
        }  # fmt: skip
        # tensors, and not floats, so that a compiled step is not compiled again when they move
        now = {
            name: torch.tensor(ramped(ramp, progress, float(end)), device=device)
            for name, (ramp, end) in goals.items()
        }
        full = cls.full(trading, config)
        units = full.full_terms
        terms = units._replace(
            commission=now["commission_usd"],
            stop_atr=now["stop"] * (units.stop_atr > 0),
            stop_points=now["stop"] * (units.stop_points > 0) * units.tick,
            target_atr=now["target"] * (units.target_atr > 0),
            target_points=now["target"] * (units.target_points > 0) * units.tick,
            max_contracts=torch.round(now["max_contracts"]),
            max_holding_bars=now["max_holding_bars"],
        )
        moving = {name: now[name] for name, (ramp, _) in goals.items() if ramp is not None}
        worth = full.reward._replace(exploration_bonus=now["exploration_bonus"])
        return cls(terms, full.full_terms, full.rules, worth, moving)


class FuturesState(NamedTuple):
    """N accounts at the close of a bar."""

    bar: Tensor  # (N,) int64, index of the last closed bar
    last_bar: Tensor  # (N,) int64, bar at which the episode is cut off
    account: Account  # (N,) each


def step(
    market: FuturesMarket,
    params: FuturesParams,
    state: FuturesState,
    category: Tensor,
    strength: Tensor,
) -> Step[FuturesState]:
    """Carry out the decisions at the next open and live through the bar.

    Args:
        market: prices and features.
        params: costs, rules and reward.
        state: accounts, each with a bar after its current one.
        category: (N,) HOLD, BUY or SELL, chosen after seeing the close of `state.bar`.
        strength: (N,) in [0, 1]: contracts of an entry, as a share of the most.
    """
    n = state.bar + 1
    row = market.bars[n]
    bar = Bar(
        open=row[:, 0], high=row[:, 1], low=row[:, 2], close=row[:, 3], atr=row[:, 4],
        starts=row[:, 6] > 0, ends=row[:, 7] > 0,
    )  # fmt: skip
    outcome = trade_bar(state.account, category, strength, bar, params.terms, params.rules)
    account, exited = outcome.account, outcome.exit
    broken = outcome.broken
    # by operators: a reduction over a stack would cut the compiled step in two
    terminated: Tensor = (
        broken.trailing_drawdown | broken.daily_loss | broken.contract_limit | broken.flat_by_close
    )  # type: ignore[assignment]
    pnl = account.equity - state.account.equity
    reward = params.reward
    return Step(
        state=FuturesState(n, state.last_bar, account),
        reward_terms=(
            pnl / reward.usd_per_unit,
            reward.target_bonus * (exited.kind == TARGET),
            -reward.idle_penalty * (outcome.position.side == 0),
            reward.exploration_bonus * outcome.position.enters,
        ),
        broken=tuple(broken),
        terminated=terminated,
        truncated=(n >= state.last_bar) & ~terminated,
        ledger=StepAccounting(
            pnl=pnl,
            closed=exited.kind > 0,
            trade_pnl=outcome.trade_pnl,
            drawdown=1 - account.equity / account.peak_equity,
        ),
    )


def account_state(market: FuturesMarket, params: FuturesParams, state: FuturesState) -> Tensor:
    """The account features, (N, 8) float32."""
    row = market.bars[state.bar]
    columns = bracket_features(
        state.account, row[:, 3], row[:, 5], params.full_terms, params.rules, torch.tanh
    )
    return torch.stack(columns, dim=-1).to(torch.float32)


@dataclass(frozen=True, slots=True)
class FuturesEpisodes(MarketEnvironment[FuturesState]):
    """The environment of the trainer, and of whoever scores a policy.

    Episodes last half to one and a half times `episode_bars` and are only ever cut off between two
    rollouts, so that the bootstrap needs one extra forward pass only. With a data filter an
    account that has left the kept bars starts again as well, as soon as a rollout ends.
    """

    market: FuturesMarket
    params: FuturesParams
    trading: FuturesTrading
    config: FuturesEnvConfig
    starts: Tensor  # (S,) int64 bars from which a whole rollout lies inside the training span
    is_kept: Tensor  # (B,) bool, by the data filter

    @property
    @override
    def features(self) -> Tensor:
        """(B, F) float32 market features, which all accounts share."""
        return self.market.features

    @property
    @override
    def reward_terms(self) -> tuple[str, ...]:
        """Profit, bonus for targets, penalty for idling, bonus for exploring."""
        return REWARD_TERMS

    @property
    @override
    def annealed_terms(self) -> tuple[str, ...]:
        return ("exploration_bonus",)

    @property
    @override
    def rules(self) -> tuple[str, ...]:
        return RULES

    @property
    @override
    def truncates_within_rollout(self) -> bool:
        return False

    @property
    @override
    def spans_rollouts(self) -> bool:
        return True

    @property
    @override
    def curriculum(self) -> Mapping[str, Tensor]:
        """Commission and bonus, and whatever else the desk ramps."""
        return self.params.ramps

    @override
    def at_progress(self, progress: float) -> Self:
        device = self.market.bars.device
        params = FuturesParams.at_progress(self.trading, self.config, progress, device)
        return replace(self, params=params)

    @override
    def reset(
        self, previous: FuturesState | None, num_envs: int, steps: int, generator: torch.Generator
    ) -> tuple[FuturesState, Tensor]:
        """Where the accounts stand, and fresh ones for those whose time is up."""
        fresh = self.reset_state(num_envs, steps, generator)
        if previous is None:
            return fresh, torch.ones_like(fresh.bar, dtype=torch.bool)
        is_over = (previous.bar + steps > previous.last_bar) | ~self.is_kept[previous.bar]
        return where_ended(is_over, previous, fresh), is_over

    @override
    def reset_state(
        self, num_envs: int, steps_left: int, generator: torch.Generator
    ) -> FuturesState:
        """Accounts with nothing but cash at random starts."""
        device, most = self.starts.device, self.config.episode_bars

        def draw(below: int) -> Tensor:
            return torch.randint(below, (num_envs,), generator=generator, device=device)

        bar = self.starts[draw(len(self.starts))]
        length = torch.clamp(most // 2 + draw(most), min=steps_left)
        last_bar = torch.minimum(bar + length, self.starts[-1:] + steps_left)
        return self.open_accounts(bar, torch.maximum(last_bar, bar + steps_left))

    @override
    def open_accounts(self, bar: Tensor, last_bar: Tensor) -> FuturesState:
        zero = torch.zeros(bar.shape, dtype=self.market.bars.dtype, device=bar.device)
        return FuturesState(bar, last_bar, new_account(zero, self.params.rules.initial_cash))

    @override
    def step(self, state: FuturesState, category: Tensor, strength: Tensor) -> Step[FuturesState]:
        return step(self.market, self.params, state, category, strength)

    @override
    def auto_reset(self, ended: Tensor, state: FuturesState, fresh: FuturesState) -> FuturesState:
        """Account by account, the fresh state or the old one."""
        return where_ended(ended, state, fresh)

    @override
    def observe(self, state: FuturesState) -> Observation:
        return Observation(state.bar, account_state(self.market, self.params, state))

    @override
    def equity(self, state: FuturesState) -> Tensor:
        """(N,) US dollars, marked at the last close."""
        return state.account.equity
