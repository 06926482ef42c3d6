"""PPO from a cloned policy: collect_rollout -> compute_gae -> update_policy -> update_critic.

Actor and critic have their own optimisers; the critic's owns the value head alone. Dropout is
off throughout, so that the first ratio of every update is exactly 1.
Shapes: T steps, N accounts, H horizons, B table rows.
"""

import itertools
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from rl_core.learning.envs.core import Environment, State
from rl_core.learning.hardware.distributed import ONE_PROCESS, Processes
from rl_core.learning.hardware.precision import Precision
from rl_core.learning.models.actor_critic import ActorCritic, Heads, map_heads
from rl_core.learning.ppo.figures import (
    Batch,
    UpdateLog,
    summarise_iteration,
)
from rl_core.learning.ppo.gae import compute_gae, normalise
from rl_core.learning.ppo.learner import Learner
from rl_core.learning.ppo.rollout import Rollout, collect_rollout
from rl_core.learning.ppo.setup import Training, TrainingProblem, Watcher, prepare_training
from rl_core.learning.ppo.tracker import TradeTotals
from rl_core.learning.ppo.update import (
    Losses,
    Minibatch,
    return_head_losses,
)
from rl_core.learning.settings import PPOConfig

EARLY_STOP_FACTOR = 1.5  # of the target KL, as in OpenAI's Spinning Up


def train_ppo(
    learner: Learner,
    problem: TrainingProblem[State],
    config: PPOConfig,
    watcher: Watcher,
    *,
    processes: Processes = ONE_PROCESS,
    after_iteration: Callable[[Learner], bool] = lambda learner: False,
) -> bool:
    """Improve the policy in place and leave the weights of the best validated iteration.

    The policy it starts from is iteration 0: a training that does not improve on it returns it.

    Args:
        learner: new, or as a checkpoint left it.
        problem: what is learned.
        config: how.
        watcher: told of progress.
        processes: those that train together; the first alone validates.
        after_iteration: may save the learner; True ends the training before its time.

    Returns:
        Whether it came to its end.

    Raises:
        TollgateError: numbers that are not finite, too often in a row.
    """
    training = prepare_training(learner, problem, config, watcher, processes)
    if not learner.validations and processes.is_first:
        learner.record_validation(problem.validate(learner.model, 0))
    for iteration in range(learner.iteration + 1, config.num_iterations + 1):
        set_learning_rates(learner, config, iteration)
        environment = problem.environment.at_progress(config.learned_share(iteration))
        clock = [time.perf_counter()]
        position = collect_rollout(
            learner.model, training.table, environment, training.buffers, learner.position,
            learner.generator, training.precision, training.take_step,
            lambda done, total: watcher.phase("rollout", done, total),
        )  # fmt: skip
        learner.position = position if environment.spans_rollouts else None
        batch = prepare_batch(training.buffers, config, processes)
        clock.append(time.perf_counter())
        log = UpdateLog.empty()
        if config.train_heads_only:
            update_return_heads(training, batch, log)
        elif iteration > 0:
            update_policy(training, batch, iteration, log)
        clock.append(time.perf_counter())
        if not config.train_heads_only:
            update_critic(training, batch, log)
        learner.guard.check()
        clock.append(time.perf_counter())
        finish_iteration(training, environment, iteration, batch, log, clock)
        if after_iteration(learner):
            return False
    learner.model.load_state_dict(learner.best_weights)
    return True


def set_learning_rates(learner: Learner, config: PPOConfig, iteration: int) -> None:
    """Both optimisers' rates for an iteration."""
    initial = {"actor": config.actor_learning_rate, "critic": config.critic_learning_rate}
    for name, optimiser in learner.optimisers.items():
        for group in optimiser.param_groups:
            group["lr"] = initial[name] * config.learning_rate_factor(iteration)


@torch.no_grad()
def prepare_batch(rollout: Rollout, config: PPOConfig, processes: Processes = ONE_PROCESS) -> Batch:
    """Advantages, normalised over the rollouts of all processes, and the critic's targets."""
    advantages = compute_gae(
        rollout.reward,
        rollout.value,
        rollout.next_value,
        rollout.terminated,
        rollout.ended,
        discount=config.discount,
        gae_lambda=config.gae_lambda,
    )
    mean = processes.average(advantages.mean())
    variance = processes.average((advantages - mean).square().mean())
    return Batch(
        rollout,
        normalise(advantages, mean, variance),
        advantages + rollout.value,
        mean,
        variance,
    )


def take_minibatch(
    training: Training[State], batch: Batch, tiles: Tensor, clone: Heads | None = None
) -> Minibatch:
    """Some tiles of a rollout, and what the clone says of them."""
    rollout, take = batch.rollout, training.tiling.take
    is_recurrent = rollout.memory is not None
    return Minibatch(
        bar=take(rollout.bar, tiles),
        account_features=take(rollout.account_features, tiles),
        starts=take(rollout.starts, tiles) if is_recurrent else None,
        memory=training.tiling.take_memory(rollout.memory, tiles),
        category=take(rollout.category, tiles),
        strength_logit=take(rollout.strength_logit, tiles),
        log_prob=take(rollout.log_prob, tiles),
        value=take(rollout.value, tiles),
        advantage=take(batch.advantages, tiles),
        target=take(batch.returns, tiles),
        clone=None if clone is None else map_heads(partial(take, tiles=tiles), clone),
    )


def update_policy(training: Training[State], batch: Batch, iteration: int, log: UpdateLog) -> None:
    """Improve actor and critic by epochs of minibatches over a rollout."""
    learner, config, tiling = training.learner, training.config, training.tiling
    weight = config.clone_kl_weight(iteration)
    clone = clone_heads(training, batch.rollout) if weight > 0 else None
    tether = clone_tether(training, weight) if clone is not None else None
    for epoch in range(config.epochs):
        for number, tiles in enumerate(tiling.shuffled(learner.generator), start=1):
            minibatch = take_minibatch(training, batch, tiles, clone)
            zero_gradients(learner)
            losses: Losses = training.update(
                training.policy_losses, minibatch, training.return_weights, tether
            )
            learner.guard.backward(losses.total)
            norms = learner.guard.step(
                {
                    "policy_loss": losses.policy, "value_loss": losses.value,
                    "return_loss": losses.returns.sum(), "clone_kl": losses.clone_kl,
                },
                learner.parts,
                list(learner.optimisers.values()),
            )  # fmt: skip
            log.losses.append(losses._replace(total=losses.total.detach()))
            log.norms.append(norms)
            if config.auxiliary_losses:
                log.return_losses.append(losses.returns)
            done = epoch * tiling.minibatches + number
            training.watcher.phase("policy", done, config.epochs * tiling.minibatches)
        log.epochs += 1
        if config.target_kl is not None:  # looks at the device once an epoch
            kls = torch.stack([each.approx_kl for each in log.losses[-tiling.minibatches :]])
            if training.processes.average(kls.mean()) > EARLY_STOP_FACTOR * config.target_kl:
                break


@torch.no_grad()
def clone_heads(training: Training[State], rollout: Rollout) -> Heads:
    """What the clone says of every step, walked from the rollout's start; (T, N, ...)."""
    clone = training.problem.clone
    if clone is None:
        raise ValueError("a KL to the clone needs the clone, was none")
    clone.eval()
    memory, rows = None, list[Heads]()
    for row, account_features, starts in zip(
        rollout.bar, rollout.account_features, rollout.starts, strict=True
    ):
        with training.precision.autocast():
            features, memory = clone.encoder(
                training.table.gather(row, account_features).unsqueeze(0),
                memory,
                starts.unsqueeze(0),
            )
            rows.append(clone.heads(features.squeeze(0)))
    return map_heads(lambda *steps: torch.stack(steps), *rows)


def clone_tether(training: Training[State], weight: float) -> tuple[Tensor, Tensor]:
    """(KL coefficient, std of the clone's strength logit) as scalar tensors."""
    clone, device = training.problem.clone, training.return_weights.device
    spread = torch.ones((), device=device)
    if clone is not None and clone.has_strength:
        spread = clone.strength_log_std.detach().exp()
    return torch.tensor(weight, device=device), spread


def update_return_heads(training: Training[State], batch: Batch, log: UpdateLog) -> None:
    """Epochs of the return heads alone, on features of the frozen encoder."""
    learner, config, tiling = training.learner, training.config, training.tiling
    for epoch in range(config.epochs):
        for number, tiles in enumerate(tiling.shuffled(learner.generator), start=1):
            zero_gradients(learner)
            loss, returns = training.update(
                return_head_losses, training.table, training.problem.targets.values,
                take_minibatch(training, batch, tiles), training.return_weights, config,
                training.precision, training.processes.average,
            )  # fmt: skip
            learner.guard.backward(loss)
            norms = learner.guard.step(
                {"return_loss": loss}, learner.parts, list(learner.optimisers.values())
            )
            log.norms.append(norms)
            log.return_losses.append(returns)
            done = epoch * tiling.minibatches + number
            training.watcher.phase("return heads", done, config.epochs * tiling.minibatches)
        log.epochs += 1


def update_critic(training: Training[State], batch: Batch, log: UpdateLog) -> None:
    """Extra epochs of the value head alone, on features that are encoded once."""
    learner, config, tiling = training.learner, training.config, training.tiling
    if not config.critic_epochs:
        return
    features = encode_rollout(training, batch)
    for epoch in range(config.critic_epochs):
        for number, tiles in enumerate(tiling.shuffled(learner.generator), start=1):
            zero_gradients(learner)
            target = tiling.take(batch.returns, tiles)
            inputs = features[tiles].transpose(0, 1).flatten(1, 2)
            (loss,) = training.update(value_error, inputs, target, training.precision)
            learner.guard.backward(loss)
            learner.guard.step(
                {"value_loss": loss},
                {"value_head": learner.parts["value_head"]},
                [learner.optimisers["critic"]],
            )
            log.value_losses.append(loss.detach())
            done = epoch * tiling.minibatches + number
            training.watcher.phase("critic", done, config.critic_epochs * tiling.minibatches)


def value_error(
    model: ActorCritic, features: Tensor, target: Tensor, precision: Precision
) -> tuple[Tensor]:
    """Mean squared error of the value head on encoded features."""
    with precision.autocast():
        value = model.value(features)
    return ((value - target).square().mean(),)


@torch.no_grad()
def encode_rollout(training: Training[State], batch: Batch) -> Tensor:
    """Features of every tile, (tiles, K, W, D), a minibatch at a time."""
    tiling, model = training.tiling, training.learner.model
    tiles = torch.arange(tiling.chunks * tiling.blocks, device=batch.returns.device)
    encoded: list[Tensor] = []
    for some in tiles.split(len(tiles) // tiling.minibatches):
        rows = take_minibatch(training, batch, some)
        with training.precision.autocast():
            features, _ = model.encoder(
                training.table.gather(rows.bar, rows.account_features), rows.memory, rows.starts
            )
        encoded.append(features.unflatten(1, (len(some), -1)).transpose(0, 1))
    return torch.cat(encoded)


def zero_gradients(learner: Learner) -> None:
    """Zero the gradients of every optimiser."""
    for optimiser in learner.optimisers.values():
        optimiser.zero_grad(set_to_none=True)


def finish_iteration(
    training: Training[State],
    environment: Environment[State],
    iteration: int,
    batch: Batch,
    log: UpdateLog,
    clock: list[float],
) -> None:
    """Count an iteration, validate when due, and tell the watcher."""
    learner, config, problem = training.learner, training.config, training.problem
    processes, watcher = training.processes, training.watcher
    learner.iteration = iteration
    learner.env_steps += batch.returns.numel() * processes.count
    learner.totals = learner.totals.add(batch.rollout.tally, batch.rollout.terminated)
    score = None
    if config.validates(iteration) and processes.is_first:
        validation = problem.validate(learner.model, iteration)
        # heads alone change no decision: the last ones are the best trained
        learner.record_validation(validation, is_kept=config.train_heads_only or None)
        score = validation.score
    figures = summarise_iteration(
        iteration, learner.env_steps, batch, log, environment, problem.targets.horizons,
        [end - start for start, end in itertools.pairwise(clock)],
        learner.optimisers["actor"].param_groups[0]["lr"],
        (learner.guard.skipped, learner.guard.skipped_by_cause()), score, processes.count,
    )  # fmt: skip
    learner.history.append(figures)
    watcher.iteration(figures)
    is_last = iteration == config.num_iterations
    if iteration > 0 and (iteration % config.summary_every == 0 or is_last):
        rules = environment.rules
        learner.summaries.append(learner.totals.summary(problem.initial_cash, rules))
        learner.totals = TradeTotals.zero(len(rules), batch.returns.device)
        watcher.summary(iteration, learner.summaries[-1])
