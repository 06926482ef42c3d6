"""Behaviour cloning: learn to decide as the ensemble did, and what the market did next.

The dataset lives on the device and a minibatch is a gather of windows: single rows, or for a
recurrent network stretches of consecutive rows. Shapes: N rows, H horizons, A actions, W windows of
S rows.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from rl_core.learning.cloning.figures import CloningEpoch, CloningScores
from rl_core.learning.guard import Part, StepGuard
from rl_core.learning.losses import focal_loss, masked_huber_loss, strength_loss
from rl_core.learning.models.actor_critic import ActorCritic, Heads, map_heads
from rl_core.learning.settings import CloningConfig
from rl_core.learning.standardise import fit_units
from rl_core.offline.dataset import DatasetArrays
from rl_core.trading.accounts import HOLD

UNKNOWN_RISK = -1


@dataclass(frozen=True)
class Demonstrations:
    """A split of the dataset on the device, in order of time."""

    states: Tensor  # (N, F)
    actions: Tensor  # (N,) int64
    strengths: Tensor  # (N,)
    returns: Tensor  # (N, H), NaN is unknown
    risk: Tensor  # (N,) int64 class of the volatility to come, -1 is unknown
    starts: Tensor  # (N,) bool, this row does not follow on the one before it

    @classmethod
    def from_arrays(cls, arrays: DatasetArrays, device: torch.device) -> "Demonstrations":
        """Copy arrays to a device as tensors."""
        return cls(
            states=torch.tensor(arrays.states, device=device),
            actions=torch.tensor(arrays.actions, dtype=torch.int64, device=device),
            strengths=torch.tensor(arrays.strengths, device=device),
            returns=torch.tensor(arrays.returns, device=device),
            risk=torch.tensor(arrays.risk, dtype=torch.int64, device=device),
            starts=torch.tensor(arrays.starts, device=device),
        )

    def take(self, rows: Tensor) -> "Demonstrations":
        """Some of the rows; the shape of `rows` becomes that of the result."""
        return Demonstrations(*(getattr(self, name)[rows] for name in self.__dataclass_fields__))


def clone_behaviour(
    model: ActorCritic,
    train: Demonstrations,
    validation: Demonstrations,
    config: CloningConfig,
    seed: int,
    on_epoch: Callable[[CloningEpoch], None],
    *,
    num_market: int,
) -> tuple[int, list[CloningEpoch]]:
    """Train in place and leave the weights of the epoch with the lowest validation loss.

    Args:
        model: the clone to be.
        train: rows to learn from.
        validation: rows to choose the epoch by.
        config: weights of the losses, balance, noise.
        seed: of order, dropout and noise.
        on_epoch: is told of every epoch.
        num_market: features that come first and get the noise; the rest is an account's own.

    Returns:
        That epoch's number, counted from 1, and every epoch's scores.

    Raises:
        TollgateError: losses or gradients that are not finite, too often in a row.
    """
    generator = torch.Generator(device=train.states.device).manual_seed(seed)
    torch.manual_seed(seed)  # dropout
    fit_units(model, train.states, train.returns)
    optimiser = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay, fused=True
    )
    guard = StepGuard(("loss", "gradients"), config.max_skipped_updates, train.states.device)
    balance = class_weights(train.actions, model.num_actions)
    history: list[CloningEpoch] = []
    best, best_weights = 0, copy.deepcopy(model.state_dict())
    for epoch in range(1, config.epochs + 1):
        train_one_epoch(model, train, config, balance, optimiser, guard, generator, num_market)
        guard.check()
        history.append(
            CloningEpoch(
                epoch=epoch,
                train=cloning_scores(model, train, config, balance),
                validation=cloning_scores(model, validation, config, balance),
                skipped_updates=guard.skipped,
            )
        )
        on_epoch(history[-1])
        if not best or history[-1].validation.loss < history[best - 1].validation.loss:
            best, best_weights = epoch, copy.deepcopy(model.state_dict())
        if epoch - best >= config.patience_epochs:
            break
    model.load_state_dict(best_weights)
    return best, history


def class_weights(actions: Tensor, num_actions: int) -> Tensor:
    """(A,) by which each action must count to weigh as much as any other; 0 if it never occurs."""
    counts = torch.bincount(actions, minlength=num_actions)
    weights = len(actions) / (num_actions * counts.clamp(min=1).float())
    return torch.where(counts > 0, weights, 0.0)


def windows(
    model: ActorCritic, num_rows: int, config: CloningConfig, device: torch.device
) -> Tensor:
    """Rows of each window, (S, W): single rows, or stretches that together cover every row."""
    length = min(config.sequence_bars, num_rows) if model.is_recurrent else 1
    first = torch.arange(0, num_rows, length, device=device).clamp(max=num_rows - length)
    return first + torch.arange(length, device=device).unsqueeze(1)


def train_one_epoch(
    model: ActorCritic,
    train: Demonstrations,
    config: CloningConfig,
    balance: Tensor,
    optimiser: torch.optim.Optimizer,
    guard: StepGuard,
    generator: torch.Generator,
    num_market: int,
) -> None:
    """One pass over the rows, in random order or drawn so that actions are equally frequent."""
    model.train()
    device = train.actions.device
    rows = windows(model, len(train.actions), config, device)
    if config.class_balance == "sampler":
        odds = balance[train.actions][rows].mean(dim=0)
        order = torch.multinomial(odds, len(odds), replacement=True, generator=generator)
    else:
        order = torch.randperm(rows.shape[1], generator=generator, device=device)
    everything = {"gradients": Part(list(model.parameters()), config.gradient_clip)}
    for chosen in order.split(max(config.batch_size // len(rows), 1)):
        batch = train.take(rows[:, chosen])
        states = add_noise(model, batch.states, config, generator, num_market)
        heads = demonstrated_heads(model, states, batch)
        loss = cloning_loss(model, heads, batch, config, balance).total
        optimiser.zero_grad(set_to_none=True)
        guard.backward(loss)
        guard.step({"loss": loss}, everything, [optimiser])


def add_noise(
    model: ActorCritic,
    states: Tensor,
    config: CloningConfig,
    generator: torch.Generator,
    num_market: int,
) -> Tensor:
    """States with noise on the market features, in units of their spread on train."""
    if not config.noise:
        return states
    draw = torch.randn(states.shape, generator=generator, device=states.device)
    spread = model.standardiser.scale * config.noise
    spread[num_market:] = 0.0  # an account's own state stays what it is
    return states + draw * spread


def demonstrated_heads(model: ActorCritic, states: Tensor, batch: Demonstrations) -> Heads:
    """What the network says of windows (S, W), each begun without memory."""
    starts = batch.starts if model.is_recurrent else None
    features, _ = model.encoder(model.standardiser(states), None, starts)
    return model.heads(features)


@dataclass(frozen=True)
class CloningLoss:
    """The cloning loss as a sum of its parts."""

    total: Tensor  # ()
    imitation: Tensor  # () alpha CE + beta MSE, every row alike
    returns: Tensor  # (H,)


def cloning_loss(
    model: ActorCritic,
    heads: Heads,
    batch: Demonstrations,
    config: CloningConfig,
    balance: Tensor | None,
) -> CloningLoss:
    """Alpha CE(action) + beta MSE(strength) + masked Huber(returns) + CE(risk).

    Args:
        model: for the units of its return heads.
        heads: for the batch's rows.
        batch: (...) rows.
        config: weights, and how actions that are rare are balanced.
        balance: (A,) class weights; None counts every row alike.
    """
    logits, actions = heads.logits.flatten(0, -2), batch.actions.flatten()
    plain = config.action_weight * F.cross_entropy(logits, actions)
    weights = balance if config.class_balance == "weighted" else None
    action_loss = config.action_weight * F.cross_entropy(
        logits, actions, weights, label_smoothing=config.label_smoothing
    )
    if balance is not None and config.class_balance == "focal":
        action_loss = config.action_weight * focal_loss(logits, actions, config.focal_gamma)
    strength = torch.zeros_like(plain)
    if heads.strength is not None:
        mse = strength_loss(heads.strength, batch.strengths, batch.actions != HOLD)
        strength = config.strength_weight * mse
    returns = masked_huber_loss(
        heads.returns.flatten(0, -2),
        batch.returns.flatten(0, -2) / model.return_scale,
        config.huber_delta,
    )
    total = action_loss + strength + config.return_weight * returns.sum()
    if heads.risk is not None:
        is_known = batch.risk != UNKNOWN_RISK
        errors = F.cross_entropy(
            heads.risk.flatten(0, -2), batch.risk.clamp(min=0).flatten(), reduction="none"
        )
        risk = (errors * is_known.flatten()).sum() / is_known.sum().clamp(min=1)
        total = total + config.risk_weight * risk
    return CloningLoss(total, plain + strength, returns)


@torch.no_grad()
def cloning_scores(
    model: ActorCritic,
    rows: Demonstrations,
    config: CloningConfig,
    balance: Tensor | None = None,
) -> CloningScores:
    """Scores of a policy on a whole split, dropout off."""
    model.eval()
    heads = split_heads(model, rows, config)
    loss = cloning_loss(model, heads, rows, config, balance)
    confusion = confusion_matrix(heads.logits.argmax(dim=-1), rows.actions, model.num_actions)
    occurrences = confusion.sum(dim=1)
    recall = confusion.diagonal()[occurrences > 0] / occurrences[occurrences > 0]
    risk_accuracy = None
    if heads.risk is not None and (rows.risk != UNKNOWN_RISK).any():
        known = rows.risk != UNKNOWN_RISK
        risk_accuracy = float((heads.risk.argmax(dim=-1) == rows.risk)[known].float().mean())
    return CloningScores(
        loss=float(loss.total),
        imitation_loss=float(loss.imitation),
        accuracy=float(confusion.diagonal().sum() / occurrences.sum()),
        balanced_accuracy=float(recall.mean()),
        matthews=matthews(confusion),
        majority_share=float(occurrences.max() / occurrences.sum()),
        return_losses=loss.returns.tolist(),
        risk_accuracy=risk_accuracy,
    )


def matthews(confusion: Tensor) -> float:
    """Correlation of the policy's and the teacher's actions, -1..1; 0 if either never changes.

    Args:
        confusion: (A, A) counts.

    Source: Gorodkin (2004), eq. 8.
    """
    counts = confusion.double()
    total, actual, predicted = counts.sum(), counts.sum(dim=1), counts.sum(dim=0)
    covariance = counts.diagonal().sum() * total - (actual * predicted).sum()
    spread = (total**2 - (actual**2).sum()) * (total**2 - (predicted**2).sum())
    return float(covariance / spread.sqrt()) if spread > 0 else 0.0


def confusion_matrix(predicted: Tensor, actual: Tensor, num_actions: int) -> Tensor:
    """(A, A) counts: row the teacher's action, column the policy's."""
    pairs = actual * num_actions + predicted
    counts = torch.bincount(pairs, minlength=num_actions**2)
    return counts.view(num_actions, num_actions).float()


def split_heads(model: ActorCritic, rows: Demonstrations, config: CloningConfig) -> Heads:
    """What the network says of every row of a split, (N, ...)."""
    index = windows(model, len(rows.actions), config, rows.actions.device)
    taken = rows.take(index)
    heads = demonstrated_heads(model, taken.states, taken)

    def by_row(column: Tensor) -> Tensor:
        result = column.new_empty(len(rows.actions), *column.shape[2:])
        result[index] = column
        return result

    return map_heads(by_row, heads)
