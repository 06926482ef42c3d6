"""What a PPO training needs of memory, and settings that fit into what there is.

Shapes: T steps, N accounts, P account features, D width, G GRU layers, K steps of a chunk.
"""

import math

from pydantic import BaseModel, ConfigDict

from rl_core.base.errors import TollgateError
from rl_core.learning.ppo.minibatches import Tiling
from rl_core.learning.settings import ModelConfig, PPOConfig

SIZES = ("num_envs", "rollout_steps", "num_minibatches")  # what may be lowered
ROLLOUT_BYTES = 28  # a step's row without its account features: see `Rollout`
WORKING_BYTES = 180  # advantages, returns, and their temporaries
SMALLEST_MINIBATCH, SMALLEST_NUM_ENVS = 1024, 64
STOCK_TABLES = 9  # price, trading, leaving, impact, slippage, and an exposure to each factor
HOLDING_COPIES = 24  # value, change, rate, purchases ... of a step, where nothing is fused
HEAD_BYTES = 200  # logits, log-probabilities, ratios, losses and their gradients


class ProblemSize(BaseModel):
    """What a training is made of."""

    model_config = ConfigDict(frozen=True)

    parameters: int  # of the network
    table_rows: int  # bars
    observation_size: int  # features, account_features ones included
    num_account_features: int  # features of an account's own
    num_horizons: int  # return heads
    stocks: int = 0  # of a universe, whose tables and accounts hold numbers for each of them
    portfolios: int = 0  # that the accounts choose from


class MemoryNeed(BaseModel):
    """Bytes that a training needs at its peak, by what needs them."""

    model_config = ConfigDict(frozen=True)

    rollout: int
    minibatch: int  # of the policy
    accounts: int  # their holdings, while they trade
    features: int  # that the critic's extra epochs read; the policy's minibatch is gone by then
    network: int
    market: int

    @property
    def total(self) -> int:
        """Bytes that all parts take together."""
        learning = max(self.minibatch, self.features)
        return self.rollout + max(learning, self.accounts) + self.network + self.market


def memory_need(config: PPOConfig, model: ModelConfig, size: ProblemSize) -> MemoryNeed:
    """The formula, tested against measured peaks in `tests/training/test_sizing.py`."""
    samples = config.num_envs * config.rollout_steps
    value_bytes = 2 if config.amp else 4
    width, shared = model.hidden_dim, size.observation_size - size.num_account_features
    per_sample = ROLLOUT_BYTES + 4 * size.num_account_features + WORKING_BYTES
    if model.gru_layers:
        per_sample += math.ceil(model.gru_layers * width * 4 / config.chunk_steps)
    if config.clone_kl_coefficient:
        per_sample += 2 * 4 * (5 + size.num_horizons)

    tensors = 4 if model.layer_norm else 3  # product, ReLU, normalised, gradient
    activations = (
        3 * size.observation_size
        + tensors * width * model.encoder_layers
        + 2 * tensors * model.head_dim
        + 12 * width * model.gru_layers
        + size.observation_size
        * (12 * model.attention_dim + 3 * size.observation_size)
        * bool(model.attention_dim)
    )
    # in low precision too: autocast keeps the casts beside the originals
    per_row = activations * 4 + width * 12 + HEAD_BYTES
    return MemoryNeed(
        rollout=samples * per_sample,
        minibatch=samples // config.num_minibatches * per_row,
        # joining the parts copies them
        features=samples * 2 * width * value_bytes if config.critic_epochs else 0,
        network=size.parameters * 4 * 7,  # weights, gradients, two moments, best, clone, a copy
        market=size.table_rows * (shared * (4 + value_bytes) + 4 * size.num_horizons + 24)
        + size.table_rows * size.stocks * 4 * (STOCK_TABLES + size.portfolios),
        accounts=config.num_envs * size.stocks * 4 * HOLDING_COPIES,
    )


def fitted(
    config: PPOConfig, model: ModelConfig, size: ProblemSize, limit: int
) -> tuple[PPOConfig, list[str]]:
    """Settings that fit: smaller minibatches first, then fewer accounts, then shorter rollouts.

    Args:
        config: as asked for.
        model: the network.
        size: of the problem.
        limit: bytes.

    Returns:
        The settings, and a warning for each that was changed.
    """
    fitting = config
    while memory_need(fitting, model, size).total > limit:
        candidates = _smaller(fitting, memory_need(fitting, model, size), limit)
        smaller = next((each for each in candidates if _splits(each, model)), None)
        if smaller is None:
            break
        fitting = smaller
    need = memory_need(config, model, size)
    why = f"{need.total / 1e9:.1f} GB would be needed and {limit / 1e9:.1f} GB may be used"
    warnings = [
        f"{name} is now {getattr(fitting, name):,}, was {getattr(config, name):,}: {why}"
        for name in SIZES
        if getattr(fitting, name) != getattr(config, name)
    ]
    if memory_need(fitting, model, size).total > limit:
        warnings.append(f"even the smallest training may not fit: {why}")
    return fitting, warnings


def tiling_of(config: PPOConfig, *, is_recurrent: bool) -> Tiling:
    """How a rollout of these settings is cut: into chunks where the network has a memory.

    Raises:
        TollgateError: it does not split evenly.
    """
    chunk_steps = config.chunk_steps if is_recurrent else 1
    return Tiling.of(config.rollout_steps, config.num_envs, chunk_steps, config.num_minibatches)


def _splits(config: PPOConfig, model: ModelConfig) -> bool:
    try:
        tiling_of(config, is_recurrent=model.gru_layers > 0)
    except TollgateError:
        return False
    return True


def _smaller(config: PPOConfig, need: MemoryNeed, limit: int) -> list[PPOConfig]:
    """The next smaller settings, the least painful first."""
    envs, steps, parts = config.num_envs, config.rollout_steps, config.num_minibatches
    fewer = max(parts // 2, 1)
    candidates: list[dict[str, int]] = []
    if need.minibatch > limit // 4 and envs * steps // parts > SMALLEST_MINIBATCH:
        candidates.append({"num_minibatches": parts * 2})
    if envs > SMALLEST_NUM_ENVS and envs % 2 == 0:
        candidates += [{"num_envs": envs // 2, "num_minibatches": each} for each in (fewer, parts)]
    if steps > 2 * config.chunk_steps and steps % 2 == 0:
        candidates += [
            {"rollout_steps": steps // 2, "num_minibatches": each} for each in (fewer, parts)
        ]
    return [config.model_copy(update=each) for each in candidates]
