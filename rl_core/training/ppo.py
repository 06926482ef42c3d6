"""PPO from a cloned policy: collect_rollout -> compute_gae -> update -> extra critic epochs -> log.

Actor and critic have their own optimisers; the critic's owns the value head alone. Dropout is
off throughout, so that the first ratio of every update is exactly 1.
Shapes: T steps, N accounts, M = rows of a minibatch x N, H horizons, B bars.
"""

import copy
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rl_core.models.actor_critic import ActorCritic
from rl_core.models.hybrid_action import HybridAction, action_log_prob
from rl_core.training.config import PPOConfig
from rl_core.training.gae import compute_gae
from rl_core.training.guard import StepGuard, clip_gradients
from rl_core.training.losses import masked_huber_loss, ppo_policy_loss
from rl_core.training.ppo_figures import Batch, PPOIteration, summarise_iteration
from rl_core.training.rollout import Rollout, TrainingMarket, collect_rollout


@dataclass(frozen=True)
class ReturnTargets:
    """What the return heads learn, by bar."""

    horizons: tuple[str, ...]
    values: Tensor  # (B, H) in units of the model's return scale; NaN is unknown or not train


@dataclass(frozen=True)
class Optimisers:
    """The two optimisers and what guards their steps."""

    actor: torch.optim.Optimizer
    critic: torch.optim.Optimizer
    guard: StepGuard


def train_ppo(
    model: ActorCritic,
    training: TrainingMarket,
    targets: ReturnTargets,
    config: PPOConfig,
    validate: Callable[[ActorCritic], float | None],
    on_iteration: Callable[[PPOIteration], None],
) -> tuple[int, list[PPOIteration]]:
    """Improve the policy in place and leave the weights of the best validated iteration.

    The clone itself is iteration 0: a training that does not improve on it returns it.

    Args:
        model: the clone, on the market's device.
        training: the training span and its costs.
        targets: of the return heads.
        config: everything else.
        validate: score of a policy on the validation span, higher is better; None if it has none.
        on_iteration: told of every iteration.

    Returns:
        That iteration's number and every iteration's figures.
    """
    generator = torch.Generator(device=training.starts.device).manual_seed(config.seed)
    torch.manual_seed(config.seed)
    optimisers = make_optimisers(model, config)
    history: list[PPOIteration] = []
    best, best_score = 0, rank(validate(model))
    best_weights = copy.deepcopy(model.state_dict())
    for iteration in range(1 - config.critic_warmup_iterations, config.iterations + 1):
        started = time.perf_counter()
        rollout = collect_rollout(model, training, config.num_envs, config.rollout_steps, generator)
        batch = prepare_batch(rollout, config)
        losses: list[dict[str, Tensor]] = []
        if iteration > 0:
            losses = update_policy(model, training, targets, batch, optimisers, config, generator)
        value_losses = update_critic(model, training, batch, optimisers, config, generator)
        elapsed = time.perf_counter() - started

        score = validate(model) if config.validates(iteration) else None
        if rank(score) > best_score:
            best, best_score, best_weights = (
                iteration,
                rank(score),
                copy.deepcopy(model.state_dict()),
            )
        figures = summarise_iteration(
            iteration,
            batch,
            losses,
            value_losses,
            targets.horizons,
            config,
            optimisers.guard.skipped,
            elapsed,
            score,
        )
        history.append(figures)
        on_iteration(figures)
    model.load_state_dict(best_weights)
    return best, history


def rank(score: float | None) -> float:
    """A score that compares: one that is unknown or not a number is the worst."""
    return score if score is not None and math.isfinite(score) else -math.inf


def make_optimisers(model: ActorCritic, config: PPOConfig) -> Optimisers:
    """Adam for encoder, policy and return heads; another, faster, for the value head."""
    critic = list(model.value_head.parameters())
    owned = {id(parameter) for parameter in critic}
    actor = [parameter for parameter in model.parameters() if id(parameter) not in owned]
    return Optimisers(
        actor=torch.optim.Adam(actor, lr=config.actor_learning_rate, eps=1e-5),
        critic=torch.optim.Adam(critic, lr=config.critic_learning_rate, eps=1e-5),
        guard=StepGuard(config.max_skipped_updates),
    )


def prepare_batch(rollout: Rollout, config: PPOConfig) -> Batch:
    """Advantages, normalised over the whole rollout, and the returns the critic fits."""
    advantages = compute_gae(
        rollout.reward,
        rollout.value,
        rollout.last_value,
        rollout.terminated,
        discount=config.discount,
        gae_lambda=config.gae_lambda,
    )
    spread, mean = torch.std_mean(advantages, correction=0)
    return Batch(rollout, (advantages - mean) / (spread + 1e-8), advantages + rollout.value)


def time_minibatches(config: PPOConfig, generator: torch.Generator) -> Iterator[Tensor]:
    """Random groups of time steps, each with all its accounts: whole rows, so gathers are cheap."""
    order = torch.randperm(config.rollout_steps, generator=generator, device=generator.device)
    yield from order.split(config.rollout_steps // config.num_minibatches)


def gather_observations(training: TrainingMarket, rollout: Rollout, rows: Tensor) -> Tensor:
    """Observations of some time steps, (M, 34), from indices and account features."""
    market_rows = training.market.features[rollout.bar[rows]]
    return torch.cat([market_rows, rollout.account[rows]], dim=-1).flatten(0, 1)


def update_policy(
    model: ActorCritic,
    training: TrainingMarket,
    targets: ReturnTargets,
    batch: Batch,
    optimisers: Optimisers,
    config: PPOConfig,
    generator: torch.Generator,
) -> list[dict[str, Tensor]]:
    """Joint epochs over the rollout; the losses and gradient norms of every minibatch."""
    coefficients = torch.tensor(
        [config.auxiliary_coefficient(horizon) for horizon in targets.horizons],
        device=targets.values.device,
    )
    rollout, figures = batch.rollout, []
    for _ in range(config.epochs):
        for rows in time_minibatches(config, generator):
            heads = model(gather_observations(training, rollout, rows))
            action = HybridAction(
                rollout.category[rows].flatten(), rollout.strength_logit[rows].flatten()
            )
            policy = action_log_prob(model, heads, action)
            surrogate = ppo_policy_loss(
                policy.log_prob,
                rollout.log_prob[rows].flatten(),
                batch.advantages[rows].flatten(),
                clip=config.clip,
            )
            value = (heads.value - batch.returns[rows].flatten()).square().mean()
            bars = rollout.bar[rows].flatten()
            returns = masked_huber_loss(heads.returns, targets.values[bars], config.huber_delta)
            entropy = policy.entropy.mean()
            loss = (
                surrogate.loss
                - config.entropy_coefficient * entropy
                + config.value_coefficient * value
                + (coefficients * returns).sum()
            )
            norms = optimiser_step(model, loss, optimisers, config)
            figures.append(
                {
                    "policy_loss": surrogate.loss.detach(),
                    "approx_kl": surrogate.approx_kl,
                    "clip_fraction": surrogate.clip_fraction,
                    "entropy": entropy.detach(),
                    "returns": returns.detach(),
                    **norms,
                }
            )
    return figures


def update_critic(
    model: ActorCritic,
    training: TrainingMarket,
    batch: Batch,
    optimisers: Optimisers,
    config: PPOConfig,
    generator: torch.Generator,
) -> list[Tensor]:
    """Extra epochs of the value head alone, on features that are encoded once."""
    every_row = torch.arange(config.rollout_steps, device=batch.returns.device)
    with torch.no_grad():
        observations = gather_observations(training, batch.rollout, every_row)
        features = model.encode(observations)[0].view(*batch.returns.shape, -1)
        losses = [(model.value(features) - batch.returns).square().mean()]
    for _ in range(config.critic_epochs):
        for rows in time_minibatches(config, generator):
            value = model.value(features[rows])
            loss = (value - batch.returns[rows]).square().mean()
            optimisers.critic.zero_grad(set_to_none=True)
            loss.backward()
            norms = clip_gradients({"value_head": network_parts(model, config)["value_head"]})
            if optimisers.guard.allows({"loss": loss, **norms}):
                optimisers.critic.step()
            losses.append(loss.detach())
    return losses


def optimiser_step(
    model: ActorCritic, loss: Tensor, optimisers: Optimisers, config: PPOConfig
) -> dict[str, Tensor]:
    """One step of both optimisers, or of neither if a number is not finite; the norms by part."""
    optimisers.actor.zero_grad(set_to_none=True)
    optimisers.critic.zero_grad(set_to_none=True)
    loss.backward()
    norms = clip_gradients(network_parts(model, config))
    if optimisers.guard.allows({"loss": loss, **norms}):
        optimisers.actor.step()
        optimisers.critic.step()
    return norms


def network_parts(
    model: ActorCritic, config: PPOConfig
) -> dict[str, tuple[list[nn.Parameter], float]]:
    """Every parameter of the network once, by part, with the part's gradient clip."""
    policy = [*model.policy_head.parameters(), model.strength_log_std]
    parts = {
        "encoder": (list(model.encoder.parameters()), config.gradient_clip),
        "policy_head": (policy, config.gradient_clip),
        "value_head": (list(model.value_head.parameters()), config.gradient_clip),
    }
    if model.return_heads is not None:
        heads = list(model.return_heads.parameters())
        parts["return_heads"] = (heads, config.auxiliary_gradient_clip)
    return parts
