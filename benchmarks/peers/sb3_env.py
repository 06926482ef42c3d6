"""N spot accounts as one SB3 `VecEnv`, all stepped in one compiled call of the project's fills.

SB3 has no hybrid action: Discrete(3) at the fixed strength 1. Shapes: N accounts, W width.
"""

from typing import Any

import numpy as np
from gymnasium import spaces
from numba import njit
from numpy.typing import NDArray
from stable_baselines3.common.vec_env import VecEnv

from benchmarks.peers import market
from rl_core.trading import accounts
from rl_core.trading.terms import CostRates

Floats = NDArray[np.float64]


@njit
def advance(
    books: Floats,
    bar: NDArray[np.int64],
    actions: NDArray[np.int64],
    reward: NDArray[np.float32],
    terminated: NDArray[np.bool_],
    prices: market.Prices,
    rates: CostRates,
) -> None:
    """Step every account in place."""
    cash, units, equity, peak, last_trade = books
    for n in range(len(bar)):
        t = bar[n] + 1
        target = accounts.target_position(actions[n], 1.0, market.MIN_POSITION, market.MAX_POSITION)
        mark = accounts.trade_and_mark(
            cash[n], units[n], actions[n] != accounts.HOLD, target,
            prices.open[t], prices.close[t], prices.impact_scale[t - 1], rates, 0.0,
        )  # fmt: skip
        if mark.fill.traded_units != 0:
            last_trade[n] = prices.days[t]
        reward[n] = market.REWARD_SCALE * np.log(max(mark.equity / equity[n], 1e-3))
        cash[n], units[n], equity[n], bar[n] = mark.cash, mark.units, mark.equity, t
        peak[n] = max(peak[n], mark.equity)
        terminated[n] = mark.equity <= peak[n] * (1 - market.MAX_DRAWDOWN)


class AccountVecEnv(VecEnv):
    """N accounts that SB3 steps as one; observations may be padded with zeros to `width`."""

    def __init__(self, num_envs: int, width: int = market.OBSERVATION) -> None:
        shape = spaces.Box(-np.inf, np.inf, (width,), np.float32)
        super().__init__(num_envs, shape, spaces.Discrete(3))
        self.prices = market.random_prices()
        self.random = np.random.default_rng(0)
        self.books = np.empty((5, num_envs))  # cash, units, equity, peak, day of the last trade
        self.bar, self.last_bar = np.empty((2, num_envs), dtype=np.int64)

    def open_accounts(self, chosen: NDArray[np.bool_]) -> None:
        """Fresh accounts at random bars in place of the chosen ones."""
        count, cash = int(chosen.sum()), market.INITIAL_CASH
        starts = self.random.integers(0, len(self.prices.close) - market.WINDOW, count)
        self.bar[chosen], self.last_bar[chosen] = starts, starts + market.WINDOW
        fresh = np.array([[cash], [0.0], [cash], [cash], [-accounts.NEVER_TRADED_DAYS]])
        self.books[:, chosen] = fresh

    def observe(self) -> NDArray[np.float32]:
        """(N, width)."""
        cash, units, _, _, last_trade = self.books
        days = self.prices.days[self.bar] - last_trade
        columns = accounts.account_features(cash, units, self.prices.close[self.bar], days, np.tanh)
        observation = np.zeros((self.num_envs, self.observation_space.shape[0]), np.float32)
        observation[:, : market.OBSERVATION - 4] = self.prices.features[self.bar]
        observation[:, market.OBSERVATION - 4 : market.OBSERVATION] = np.stack(columns, axis=1)
        return observation

    def reset(self) -> NDArray[np.float32]:
        """Fresh accounts everywhere."""
        self.open_accounts(np.ones(self.num_envs, dtype=bool))
        return self.observe()

    def step_async(self, actions: NDArray[np.int64]) -> None:
        """Keep the actions for `step_wait`."""
        self.actions = actions

    def step_wait(self) -> tuple[Any, Any, Any, list[dict[str, Any]]]:
        """Step, and open the ended accounts again."""
        reward = np.empty(self.num_envs, np.float32)
        terminated = np.empty(self.num_envs, bool)
        ended = (reward, terminated)
        advance(self.books, self.bar, self.actions, *ended, self.prices, market.RATES)
        done = terminated | (self.bar >= self.last_bar)
        infos: list[dict[str, Any]] = [{} for _ in range(self.num_envs)]
        observation = self.observe()
        if done.any():
            for n in np.flatnonzero(done):
                infos[n]["terminal_observation"] = observation[n]
                infos[n]["TimeLimit.truncated"] = not terminated[n]
            self.open_accounts(done)
            observation = self.observe()
        return observation, reward, done, infos

    def close(self) -> None:
        """Nothing to close."""

    def get_attr(self, attr_name: str, indices: Any = None) -> list[Any]:
        """One value for every account."""
        return [getattr(self, attr_name, None)] * self.num_envs

    def set_attr(self, attr_name: str, value: Any, indices: Any = None) -> None:
        """Not needed."""

    def env_method(self, method_name: str, *args: Any, indices: Any = None, **kwargs: Any) -> Any:
        """Not needed."""

    def env_is_wrapped(self, wrapper_class: type, indices: Any = None) -> list[bool]:
        """Never."""
        return [False] * self.num_envs
