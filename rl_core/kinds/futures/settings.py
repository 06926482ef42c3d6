"""Settings of a futures desk: contract, costs, account, brackets, rules, episodes."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rl_core.kinds.settings import SeriesDesk
from rl_core.learning.envs.curriculum import Ramp
from rl_core.trading.terms import Rulebook, Terms


class ContractConfig(BaseModel):
    """What is traded: NQ has 20 USD a point and ticks of 0.25, ES 50 USD a point."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    point_value_usd: float = Field(default=20.0, gt=0)
    tick_size: float = Field(default=0.25, gt=0, description="points")


class FuturesCostConfig(BaseModel):
    """Commission and slippage of a futures trade."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commission_usd: float = Field(
        default=2.50, ge=0, description="per contract and trade, half at each fill"
    )
    slippage_ticks: float = Field(
        default=1.0, ge=0, description="against us, on every fill but a target's"
    )


class FuturesAccountConfig(BaseModel):
    """The account that a desk trades."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    initial_cash: float = Field(default=50_000.0, gt=0, description="USD")
    max_contracts: int = Field(default=1, ge=1, description="of an entry at strength 1")


class BracketConfig(BaseModel):
    """The stop-loss and take-profit that every entry carries."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    unit: Literal["atr", "ticks"] = Field(
        default="atr", description="ATR(14) at the decision, or ticks"
    )
    stop: float = Field(default=2.0, gt=0)
    target: float = Field(default=3.0, gt=0)
    target_through_ticks: float = Field(
        default=1.0, ge=0, description="a bar must trade so far beyond a target for it to fill"
    )
    max_holding_bars: int = Field(default=240, ge=1, description="then the position leaves")


class RulebookConfig(BaseModel):
    """Limits of a funded account; a breach ends an episode in training."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trailing_drawdown_usd: float = Field(default=2_500.0, gt=0, description="from peak equity")
    daily_loss_usd: float = Field(default=1_000.0, gt=0)
    contract_limit: int = Field(default=5, ge=1, description="an order beyond it breaks a rule")
    flat_by_close: bool = Field(
        default=True, description="a position that the session's end must close breaks a rule"
    )

    @model_validator(mode="after")
    def _day_is_inside_the_drawdown(self) -> Self:
        if self.daily_loss_usd > self.trailing_drawdown_usd:
            raise ValueError(
                "daily_loss_usd must be at most trailing_drawdown_usd, was "
                f"{self.daily_loss_usd} and {self.trailing_drawdown_usd}"
            )
        return self


class FuturesTrading(BaseModel):
    """All of them together, as fills take them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    contract: ContractConfig = ContractConfig()
    costs: FuturesCostConfig = FuturesCostConfig()
    account: FuturesAccountConfig = FuturesAccountConfig()
    brackets: BracketConfig = BracketConfig()
    rules: RulebookConfig = RulebookConfig()

    @property
    def terms(self) -> Terms:
        """At full costs: what every evaluation uses."""
        tick, brackets = self.contract.tick_size, self.brackets
        in_atr = float(brackets.unit == "atr")
        points = (1 - in_atr) * tick
        return Terms(
            point_value=self.contract.point_value_usd,
            tick=tick,
            commission=self.costs.commission_usd,
            slippage=self.costs.slippage_ticks * tick,
            stop_atr=in_atr * brackets.stop,
            stop_points=points * brackets.stop,
            target_atr=in_atr * brackets.target,
            target_points=points * brackets.target,
            target_through=brackets.target_through_ticks * tick,
            max_contracts=float(self.account.max_contracts),
            max_holding_bars=float(brackets.max_holding_bars),
        )

    @property
    def rulebook(self) -> Rulebook:
        """The limits of the funded account in US dollars."""
        return Rulebook(
            initial_cash=self.account.initial_cash,
            trailing_drawdown=self.rules.trailing_drawdown_usd,
            daily_loss=self.rules.daily_loss_usd,
            contract_limit=float(self.rules.contract_limit),
            flat_by_close=float(self.rules.flat_by_close),
        )


class FuturesRewardConfig(BaseModel):
    """The parts of the futures reward."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    usd_per_unit: float = Field(default=50.0, gt=0, description="P&L that earns a reward of 1")
    target_bonus: float = Field(default=1.0, ge=0, description="for a take-profit")
    idle_penalty: float = Field(default=0.005, ge=0, description="per bar without a position")
    exploration_bonus: float = Field(
        default=0.2, ge=0, description="for a trade, when training begins; anneals to 0"
    )
    exploration_until: float = Field(
        default=0.5, gt=0, le=1, description="share of the training at which it has gone"
    )


class FuturesCurriculum(BaseModel):
    """What begins easier than the desk's own setting, which is where each ramp ends."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    commission_usd: Ramp | None = Ramp(start=1.0)
    stop: Ramp | None = Field(default=None, description="distance, in the unit of the brackets")
    target: Ramp | None = Field(default=None, description="distance, likewise")
    max_contracts: Ramp | None = Field(default=None, description="position size")
    max_holding_bars: Ramp | None = Field(default=None, description="market exposure")


class FuturesEnvConfig(BaseModel):
    """Episodes, reward and curriculum of the futures environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    episode_bars: int = Field(default=1380, ge=1, description="then an account starts anew")
    reward: FuturesRewardConfig = FuturesRewardConfig()
    curriculum: FuturesCurriculum = FuturesCurriculum()


class FuturesDesk(SeriesDesk):
    """One future, intraday, with brackets and the rulebook of a funded account."""

    kind: Literal["futures"] = "futures"
    contract: ContractConfig = ContractConfig()
    costs: FuturesCostConfig = FuturesCostConfig()
    account: FuturesAccountConfig = FuturesAccountConfig()
    brackets: BracketConfig = BracketConfig()
    rules: RulebookConfig = RulebookConfig()
    environment: FuturesEnvConfig = FuturesEnvConfig()

    @model_validator(mode="after")
    def _market_has_sessions_and_one_tick(self) -> Self:
        if self.bars.sessions is None:
            raise ValueError("a futures desk must have bars.sessions, was without")
        simulated, tick = self.bars.simulated, self.contract.tick_size
        if simulated is not None and simulated.tick_size != tick:
            raise ValueError(
                f"bars.simulated.tick_size must be contract.tick_size, was {simulated.tick_size} "
                f"and {tick}"
            )
        return self

    @property
    def trading(self) -> FuturesTrading:
        """The settings that a fill needs, in one value."""
        return FuturesTrading(
            contract=self.contract,
            costs=self.costs,
            account=self.account,
            brackets=self.brackets,
            rules=self.rules,
        )

    @property
    def impact_coefficient(self) -> float:
        """One contract moves nothing: slippage in ticks stands for it."""
        return 0.0

    @property
    def initial_cash(self) -> float:
        """Cash that an account opens with, US dollars."""
        return self.account.initial_cash
