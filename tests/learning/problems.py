"""A small market with a known truth, and ways to train on it. Shapes: B bars."""

from pathlib import Path

import numpy as np
import torch

from rl_core.kinds.futures.env import FuturesState
from rl_core.kinds.futures.settings import FuturesEnvConfig
from rl_core.kinds.portfolio.env import PortfolioState
from rl_core.kinds.portfolio.kind import PortfolioKind
from rl_core.kinds.spot.env import SpotMarket, SpotParams, SpotState, SpotWindows
from rl_core.kinds.spot.settings import AccountConfig
from rl_core.learning.envs.core import allowed_starts
from rl_core.learning.hardware.distributed import ONE_PROCESS
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.ppo.history import PPOIteration, Validation
from rl_core.learning.ppo.learner import Learner, new_learner
from rl_core.learning.ppo.rollout import collect_rollout
from rl_core.learning.ppo.setup import Training, TrainingProblem, prepare_training
from rl_core.learning.ppo.tracker import TradeSummary
from rl_core.learning.ppo.train import Batch, prepare_batch, train_ppo
from rl_core.learning.ppo.update import ReturnTargets
from rl_core.learning.settings import ModelConfig, PPOConfig, WindowConfig
from rl_core.trading.terms import CostRates
from tests import panels
from tests.futures_market import episodes, future_bars, prepared

CHEAP = CostRates(
    commission=0.0001, price_cost=0.0, max_impact=0.05, rebalance_band=0, borrow_per_bar=0
)
CONFIG = PPOConfig(
    num_envs=32, rollout_steps=16, num_minibatches=4, iterations=2, critic_warmup_iterations=1,
    evaluate_every=1, chunk_steps=8,
)  # fmt: skip
SMALL = ModelConfig(hidden_dim=32, head_dim=16)
RECURRENT = ModelConfig(hidden_dim=32, head_dim=16, gru_layers=2)


class Silent:
    """A watcher that remembers what it was told."""

    def __init__(self) -> None:
        self.phases: list[tuple[str, int, int]] = []
        self.figures: list[PPOIteration] = []
        self.summaries: list[TradeSummary] = []

    def phase(self, name: str, done: int, total: int) -> None:
        self.phases.append((name, done, total))

    def iteration(self, figures: PPOIteration) -> None:
        self.figures.append(figures)

    def summary(self, iteration: int, trades: TradeSummary) -> None:
        self.summaries.append(trades)


def environment(bars: int = 400, max_drawdown: float = 0.9, window: int = 16) -> SpotWindows:
    """A market whose first feature is the next bar's move, up or down by 1%."""
    generator = torch.Generator().manual_seed(3)
    up = torch.randint(2, (bars,), generator=generator) * 2.0 - 1
    close = 100 * torch.exp(0.01 * up.cumsum(0))
    features = torch.zeros(bars, 30)
    features[:-1, 0] = up[1:]
    market = SpotMarket(
        open=torch.cat([close[:1], close[:-1]]),
        close=close,
        half_spread=torch.zeros_like(close),
        impact_scale=torch.zeros(bars),
        days=torch.arange(bars) / 24,
        features=features,
    )
    params = SpotParams(CHEAP, AccountConfig(), WindowConfig(max_drawdown=max_drawdown))
    return SpotWindows(allowed_starts(torch.arange(bars - 1), window), market, params)


def rising(_model: ActorCritic, iteration: int) -> Validation:
    """Every iteration is better than the last."""
    return Validation(iteration=iteration, score=float(iteration), figures={})


def problem(
    clone: ActorCritic | None = None, **of_environment: float
) -> TrainingProblem[SpotState]:
    """The market with random return targets."""
    generator = torch.Generator().manual_seed(4)
    targets = ReturnTargets(("1h", "24h"), torch.randn(400, 2, generator=generator))
    return TrainingProblem(environment(**of_environment), targets, 10_000.0, rising, clone)  # type: ignore[arg-type]


def future_problem() -> TrainingProblem[FuturesState]:
    """A few simulated sessions; episodes go on over rollouts."""
    market = prepared(future_bars())
    environment = episodes(
        market, config=FuturesEnvConfig(episode_bars=60), dtype=torch.float32
    ).at_progress(0.0)
    generator = torch.Generator().manual_seed(4)
    targets = torch.randn(len(market.bars), 2, generator=generator)
    return TrainingProblem(environment, ReturnTargets(("1h", "24h"), targets), 50_000.0, rising)


def portfolio_problem() -> TrainingProblem[PortfolioState]:
    """Nine stocks that come and go, and twelve regimes without a strength."""
    market = panels.prepared(panels.panel_of(panels.with_comings_and_goings(
        panels.random_closes(320, 9)
    )))  # fmt: skip
    kind = PortfolioKind(panels.portfolio_desk(Path("none.parquet")))
    environment = kind.training_environment(
        market, np.arange(205, 319), CONFIG.rollout_steps, torch.device("cpu")
    )
    targets = torch.randn(320, 2, generator=torch.Generator().manual_seed(4))
    return TrainingProblem(environment, ReturnTargets(("24h", "5d"), targets), 1e6, rising)


def new_model(
    config: ModelConfig = SMALL,
    observation_size: int = 34,
    num_actions: int = 3,
    *,
    has_strength: bool = True,
) -> ActorCritic:
    """The same weights every time."""
    torch.manual_seed(0)
    return ActorCritic(observation_size, num_actions, 2, config, has_strength=has_strength)


def train(
    config: PPOConfig = CONFIG,
    model: ActorCritic | None = None,
    of: TrainingProblem[SpotState] | None = None,
) -> tuple[Learner, Silent]:
    """A whole training."""
    learner, watcher = new_learner(model or new_model(), config, {}), Silent()
    train_ppo(learner, of or problem(), config, watcher)
    return learner, watcher


def one_rollout(
    config: PPOConfig = CONFIG,
    model: ActorCritic | None = None,
    of: TrainingProblem[SpotState] | None = None,
) -> tuple[Training[SpotState], Batch]:
    """A training that has collected one rollout."""
    learner = new_learner(model or new_model(), config, {})
    training = prepare_training(learner, of or problem(), config, Silent(), ONE_PROCESS)
    collect_rollout(
        learner.model, training.table, training.problem.environment, training.buffers, None,
        learner.generator, training.precision,
    )  # fmt: skip
    return training, prepare_batch(training.buffers, config)


def weights(model: ActorCritic) -> dict[str, torch.Tensor]:
    """A copy of a network's weights."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def moved(model: ActorCritic, before: dict[str, torch.Tensor]) -> set[str]:
    """Names of the tensors that are no longer what they were."""
    return {n for n, tensor in model.state_dict().items() if not torch.equal(tensor, before[n])}
