"""What `make bench` measures: ours and the peers, each as a function that returns steps a second.

A contender runs in a process of its own, so that nobody inherits another's threads, and counts
environment steps with the learning that follows them; imports, compilation and a first rollout are
not timed.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import numpy as np
import torch

from benchmarks.peers import market
from rl_core.desk import load_desk
from rl_core.kinds.registry import kind_of
from rl_core.kinds.spot.env import SpotState, SpotWindows
from rl_core.learning.envs.core import Environment, allowed_starts
from rl_core.learning.hardware.compilation import compiled
from rl_core.learning.hardware.memory import keep_freed_memory
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.ppo.history import PPOIteration, Validation
from rl_core.learning.ppo.learner import new_learner
from rl_core.learning.ppo.setup import TrainingProblem
from rl_core.learning.ppo.tracker import TradeSummary
from rl_core.learning.ppo.train import train_ppo
from rl_core.learning.ppo.update import ReturnTargets
from rl_core.learning.settings import ModelConfig, PPOConfig
from rl_core.steps.source import read_source

CPU = torch.device("cpu")
MLP = ModelConfig(hidden_dim=market.HIDDEN, head_dim=0, layer_norm=False, dropout=0.0)
GRU = ModelConfig(hidden_dim=256, gru_layers=2, head_dim=128, dropout=0.0)
PLAIN = PPOConfig(
    num_envs=4096, rollout_steps=128, num_minibatches=32, critic_epochs=0,
    critic_warmup_iterations=0, auxiliary_losses=False, amp=True, compile=True,
)  # fmt: skip
LONG = {"num_envs": 1024, "rollout_steps": 32, "num_minibatches": 2}
FULL = {"auxiliary_losses": True, "critic_epochs": 4}
WARM_UP, TIMED = 1, 4  # iterations


class Rates:
    """A watcher that keeps the time of each iteration."""

    def __init__(self) -> None:
        self.steps_per_second: list[float] = []

    def phase(self, name: str, done: int, total: int) -> None:
        """Not shown."""

    def iteration(self, figures: PPOIteration) -> None:
        """Remember its rate."""
        self.steps_per_second.append(figures.steps_per_second)

    def summary(self, iteration: int, trades: TradeSummary) -> None:
        """Not shown."""


def environment(window: int) -> SpotWindows:
    """The peers' market as our trainer's environment."""
    of, params = market.torch_market()
    return SpotWindows(allowed_starts(torch.arange(market.BARS - 1), window), of, params)


def tollgate(epochs: int, shape: ModelConfig = MLP, **changes: object) -> float:
    """The trainer as `tollgate ppo` runs it, without validation."""
    keep_freed_memory()
    settings = {**PLAIN.model_dump(), **changes, "epochs": epochs, "iterations": WARM_UP + TIMED}
    config = PPOConfig.model_validate(settings)
    horizons = ("1h", "24h") if config.auxiliary_losses else ()
    targets = ReturnTargets(horizons, torch.randn(market.BARS, len(horizons)))
    problem: TrainingProblem[SpotState] = TrainingProblem(
        environment(config.rollout_steps), targets, market.INITIAL_CASH, unvalidated
    )
    torch.manual_seed(0)
    model = ActorCritic(market.OBSERVATION, 3, len(horizons), shape)
    watcher = Rates()
    train_ppo(new_learner(model, config, {}), problem, config, watcher)
    timed = watcher.steps_per_second[WARM_UP:]
    return len(timed) / sum(1 / rate for rate in timed)


def spot() -> SpotWindows:
    """The same with the peers' windows."""
    return environment(market.WINDOW)


def unvalidated(model: ActorCritic, iteration: int) -> Validation:
    """The peers do not validate either."""
    return Validation(iteration=iteration, score=None, figures={})


def futures_environment() -> Environment[Any]:
    """The futures desk's own training environment, on its simulated bars."""
    return desk_environment("index_futures")


def portfolio_environment() -> Environment[Any]:
    """The portfolio desk's own training environment, on its 20 stocks."""
    return desk_environment("us_portfolio")


def desk_environment(name: str) -> Environment[Any]:
    """A desk's training environment on as many of its bars as the peers' market has."""
    desk = load_desk(name)
    kind = kind_of(desk)
    prepared = kind.prepare(read_source(desk).checked(), None, None)
    kept = np.arange(prepared.first_bar, min(len(prepared.bars), market.BARS))
    return kind.training_environment(prepared, kept, market.WINDOW, CPU)


def portfolio(*, fused: bool) -> float:
    """4,096 accounts that each choose one of twelve regimes."""
    return environment_alone(portfolio_environment, 4096, 64, actions=12, fused=fused)


def environment_alone(
    of: Callable[[], Environment[Any]],
    num_envs: int = 16_384,
    steps: int = 128,
    *,
    actions: int = 3,
    fused: bool,
) -> float:
    """Account steps a second: fill, mark, reward, restart and the whole observation."""
    keep_freed_memory()
    env = of()
    generator = torch.Generator().manual_seed(0)
    state, _ = env.reset(None, num_envs, market.WINDOW, generator)
    fresh = env.reset_state(num_envs, market.WINDOW, generator)
    category = torch.randint(actions, (num_envs,), generator=generator)
    strength = torch.rand(num_envs, generator=generator)

    def advance(state: Any) -> tuple[Any, torch.Tensor, torch.Tensor]:
        result = env.step(state, category, strength)
        ended = result.terminated | result.truncated
        after = env.auto_reset(ended, result.state, fresh)
        seen = env.observe(after)
        rows = torch.cat([env.features[seen.bar], seen.account_features], dim=-1)
        return after, rows, result.reward

    run = compiled(advance, CPU, enabled=fused)
    seconds: list[float] = []
    with torch.no_grad():
        for _ in range(6):  # the first one compiles
            started, now = time.perf_counter(), state
            for _ in range(steps):
                now, _, _ = run(now)
            seconds.append(time.perf_counter() - started)
    return num_envs * steps / median(seconds[1:])


def sb3(epochs: int, num_envs: int, num_steps: int, batch: int) -> float:
    """stable-baselines3."""
    from benchmarks.peers.sb3_ppo import run_sb3

    return run_sb3(num_envs * num_steps * 4, epochs, num_envs, num_steps, batch)


def sb3_recurrent(epochs: int, num_envs: int, num_steps: int, batch: int) -> float:
    """sb3-contrib."""
    from benchmarks.peers.sb3_recurrent import run_sb3_recurrent

    return run_sb3_recurrent(num_envs * num_steps, epochs, num_envs, num_steps, batch)


def torchrl(epochs: int) -> float:
    """TorchRL."""
    from benchmarks.peers.torchrl_ppo import run_torchrl

    return run_torchrl(4 * 1024 * market.WINDOW, epochs)


def rejax(epochs: int) -> float:
    """Rejax."""
    from benchmarks.peers.rejax_ppo import run_rejax

    return run_rejax(4 * 1024 * market.WINDOW, epochs)


@dataclass(frozen=True)
class Contender:
    """One line of a table."""

    name: str
    run: Callable[[], float]
    has_neighbour: bool = False  # one busy process beside it
    environ: Mapping[str, str] = field(default_factory=dict)


def mlp(epochs: int) -> list[Contender]:
    """MLP 34 -> 128 -> 128 with linear heads."""
    return [
        Contender("tollgate, --amp --compile", lambda: tollgate(epochs)),
        Contender("tollgate, --amp", lambda: tollgate(epochs, compile=False)),
        Contender("tollgate, float32", lambda: tollgate(epochs, compile=False, amp=False)),
        Contender("stable-baselines3, 16 envs, batch 1,024", lambda: sb3(epochs, 16, 1024, 1024)),
        Contender(
            "stable-baselines3, 1,024 envs, batch 4,096", lambda: sb3(epochs, 1024, 128, 4096)
        ),
        Contender("TorchRL, 1,024 envs", lambda: torchrl(epochs)),
        Contender("rejax (JAX), 1,024 envs, two trunks", lambda: rejax(epochs)),
    ]


def recurrent(epochs: int) -> list[Contender]:
    """Two GRU layers of 256, 0.93M parameters; the peer's LSTM has 0.86M."""
    return [
        Contender("tollgate, --amp --compile", lambda: tollgate(epochs, GRU, **LONG)),
        Contender(
            "tollgate, float32", lambda: tollgate(epochs, GRU, **LONG, compile=False, amp=False)
        ),
        Contender(
            "RecurrentPPO, 16 envs, batch 1,024", lambda: sb3_recurrent(epochs, 16, 1024, 1024)
        ),
        Contender(
            "RecurrentPPO, 512 envs x 32, batch 4,096",
            lambda: sb3_recurrent(epochs, 512, 32, 4096),
        ),
    ]


TABLES: dict[str, list[Contender]] = {
    "PPO, MLP 34->128->128, 4 epochs": mlp(4),
    "PPO, MLP 34->128->128, 1 epoch": mlp(1),
    "PPO, GRU 2x256, 4 epochs": recurrent(4),
    "PPO, GRU 2x256, 1 epoch": recurrent(1),
    "environment alone, 16,384 accounts, observations included": [
        Contender("spot, compiled", lambda: environment_alone(spot, fused=True)),
        Contender("futures, compiled", lambda: environment_alone(futures_environment, fused=True)),
        Contender("portfolio of 20, 4,096 accounts, compiled", lambda: portfolio(fused=True)),
        Contender("spot", lambda: environment_alone(spot, fused=False)),
        Contender("futures", lambda: environment_alone(futures_environment, fused=False)),
        Contender("portfolio of 20, 4,096 accounts", lambda: portfolio(fused=False)),
    ],
    "PPO as btc_spot trains: LayerNorm, heads of 64, return heads, 4 + 4 epochs": [
        Contender("tollgate, --amp --compile", lambda: tollgate(4, ModelConfig(), **FULL)),
        Contender(
            "tollgate, float32",
            lambda: tollgate(4, ModelConfig(), **FULL, compile=False, amp=False),
        ),
    ],
    "PPO, MLP 34->128->128, 4 epochs, with a busy neighbour": [
        Contender("tollgate, alone", lambda: tollgate(4, compile=False)),
        Contender("tollgate, one busy process beside", lambda: tollgate(4, compile=False), True),
        Contender(
            "the same, OpenMP spinning as it comes",
            lambda: tollgate(4, compile=False),
            True,
            {"GOMP_SPINCOUNT": "300000"},
        ),
    ],
}
