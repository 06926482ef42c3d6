"""The spot environment in JAX, for rejax: the project's own `trade_and_mark`, traced.

Discrete(3) at the fixed strength 1. Shapes: one account, which rejax maps over N.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import struct
from gymnax.environments import spaces
from gymnax.environments.environment import Environment

from benchmarks.peers import market
from rl_core.trading import accounts


class Account(struct.PyTreeNode):
    """One account at the close of a bar."""

    bar: jax.Array
    last_bar: jax.Array
    cash: jax.Array
    units: jax.Array
    equity: jax.Array
    peak: jax.Array
    last_trade: jax.Array  # days since the first bar


class Params(struct.PyTreeNode):
    """The market, as an argument of the compiled function and not a constant in it."""

    prices: market.Prices
    max_steps_in_episode: int = struct.field(pytree_node=False, default=market.WINDOW)


class SpotJax(Environment[Account, Params]):
    """One account; `step` returns the five values that rejax expects, not gymnax's six."""

    @property
    def default_params(self) -> Params:
        """The random market on the device."""
        return Params(market.Prices(*(jnp.asarray(c, jnp.float32) for c in market.random_prices())))

    def action_space(self, params: Params) -> spaces.Discrete:
        """HOLD, BUY, SELL."""
        return spaces.Discrete(3)

    def observation_space(self, params: Params) -> spaces.Box:
        """34 floats."""
        return spaces.Box(-jnp.inf, jnp.inf, (market.OBSERVATION,), jnp.float32)

    def observe(self, account: Account, params: Params) -> jax.Array:  # type: ignore[override]
        """(34,)."""
        prices = params.prices
        days = prices.days[account.bar] - account.last_trade
        close = prices.close[account.bar]
        columns = accounts.account_features(account.cash, account.units, close, days, jnp.tanh)
        return jnp.concatenate([prices.features[account.bar], jnp.stack(columns)])

    def reset(self, key: jax.Array, params: Params) -> tuple[jax.Array, Account]:  # type: ignore[override]
        """A fresh account at a random bar."""
        account = self.fresh(key, params)
        return self.observe(account, params), account

    def fresh(self, key: jax.Array, params: Params) -> Account:
        """Cash only."""
        bar = jax.random.randint(key, (), 0, len(params.prices.close) - market.WINDOW)
        cash, none = jnp.float32(market.INITIAL_CASH), jnp.float32(0)
        never = jnp.float32(-accounts.NEVER_TRADED_DAYS)
        return Account(bar, bar + market.WINDOW, cash, none, cash, cash, never)

    def step(self, key: jax.Array, state: Account, action: jax.Array, params: Params) -> Any:  # type: ignore[override]
        """Trade at the next open, mark at its close, open an ended account again."""
        prices, bar = params.prices, state.bar + 1
        target = accounts.target_position(action, 1.0, market.MIN_POSITION, market.MAX_POSITION)
        mark = accounts.trade_and_mark(
            state.cash, state.units, action != accounts.HOLD, target,
            prices.open[bar], prices.close[bar], prices.impact_scale[state.bar], market.RATES,
            0.0,
        )  # fmt: skip
        traded = mark.fill.traded_units != 0
        peak = jnp.maximum(state.peak, mark.equity)
        last_trade = jnp.where(traded, prices.days[bar], state.last_trade)
        after = Account(bar, state.last_bar, mark.cash, mark.units, mark.equity, peak, last_trade)
        reward = market.REWARD_SCALE * jnp.log(jnp.maximum(mark.equity / state.equity, 1e-3))
        done = (mark.equity <= peak * (1 - market.MAX_DRAWDOWN)) | (bar >= state.last_bar)
        fresh = self.fresh(key, params)
        after = jax.tree.map(lambda new, old: jnp.where(done, new, old), fresh, after)
        return self.observe(after, params), after, reward, done, {}
