"""Behaviour cloning: learn to decide as the ensemble did, and what the market did next.

The dataset lives on the device and a minibatch is a gather. Shapes: N rows, H horizons.
"""

import copy
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from pydantic import BaseModel, ConfigDict
from torch import Tensor

from rl_core.models.actor_critic import ActorCritic
from rl_core.offline.dataset import DatasetArrays
from rl_core.trading.accounts import HOLD
from rl_core.training.config import CloningConfig
from rl_core.training.guard import StepGuard, clip_gradients
from rl_core.training.losses import masked_huber_loss, strength_loss
from rl_core.training.standardise import fit_units


@dataclass(frozen=True)
class Demonstrations:
    """A split of the dataset on the device."""

    states: Tensor  # (N, F)
    actions: Tensor  # (N,) int64
    strengths: Tensor  # (N,)
    returns: Tensor  # (N, H), NaN is unknown

    @classmethod
    def from_arrays(cls, arrays: DatasetArrays, device: torch.device) -> "Demonstrations":
        """Copy to a device."""
        return cls(
            states=torch.tensor(arrays.states, device=device),
            actions=torch.tensor(arrays.actions, dtype=torch.int64, device=device),
            strengths=torch.tensor(arrays.strengths, device=device),
            returns=torch.tensor(arrays.returns, device=device),
        )

    def take(self, rows: Tensor) -> "Demonstrations":
        """Some of the rows."""
        return Demonstrations(
            self.states[rows], self.actions[rows], self.strengths[rows], self.returns[rows]
        )


class CloningScores(BaseModel):
    """How well a policy imitates the teacher on one split."""

    model_config = ConfigDict(frozen=True)

    loss: float  # the training loss: alpha CE + beta MSE + return heads
    imitation_loss: float  # alpha CE + beta MSE alone
    accuracy: float
    balanced_accuracy: float  # mean recall over the actions that occur
    majority_share: float  # accuracy of always taking the commonest action
    return_losses: list[float]  # masked Huber per horizon, standardised units


class CloningEpoch(BaseModel):
    """One epoch's scores."""

    model_config = ConfigDict(frozen=True)

    epoch: int
    train: CloningScores
    validation: CloningScores
    skipped_updates: int  # so far, for a loss or gradients that were not finite


def clone_behaviour(
    model: ActorCritic,
    train: Demonstrations,
    validation: Demonstrations,
    config: CloningConfig,
    on_epoch: Callable[[CloningEpoch], None],
) -> tuple[int, list[CloningEpoch]]:
    """Train in place and leave the weights of the epoch with the lowest validation loss.

    Returns:
        That epoch's number, counted from 1, and every epoch's scores.
    """
    generator = torch.Generator(device=train.states.device).manual_seed(config.seed)
    torch.manual_seed(config.seed)  # dropout
    fit_units(model, train.states, train.returns)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    guard = StepGuard(config.max_skipped_updates)
    history: list[CloningEpoch] = []
    best, best_weights = 0, copy.deepcopy(model.state_dict())
    for epoch in range(1, config.epochs + 1):
        train_one_epoch(model, train, config, optimizer, guard, generator)
        history.append(
            CloningEpoch(
                epoch=epoch,
                train=cloning_scores(model, train, config),
                validation=cloning_scores(model, validation, config),
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


def train_one_epoch(
    model: ActorCritic,
    train: Demonstrations,
    config: CloningConfig,
    optimizer: torch.optim.Optimizer,
    guard: StepGuard,
    generator: torch.Generator,
) -> None:
    """One pass over the rows in random order."""
    model.train()
    order = torch.randperm(len(train.actions), generator=generator, device=train.actions.device)
    for rows in order.split(config.batch_size):
        loss = cloning_loss(model, train.take(rows), config).total
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        norms = clip_gradients({"gradients": (model.parameters(), config.gradient_clip)})
        if guard.allows({"loss": loss, **norms}):
            optimizer.step()


@dataclass(frozen=True)
class CloningLoss:
    """The loss and its parts."""

    total: Tensor  # ()
    imitation: Tensor  # ()
    returns: Tensor  # (H,)
    predicted_action: Tensor  # (N,)


def cloning_loss(model: ActorCritic, batch: Demonstrations, config: CloningConfig) -> CloningLoss:
    """Alpha CE(action) + beta MSE(strength) + masked Huber(returns), over one batch."""
    heads = model(batch.states)
    imitation = config.action_weight * F.cross_entropy(heads.logits, batch.actions)
    if heads.strength is not None:
        mse = strength_loss(heads.strength, batch.strengths, batch.actions != HOLD)
        imitation = imitation + config.strength_weight * mse
    returns = masked_huber_loss(
        heads.returns, batch.returns / model.return_scale, config.huber_delta
    )
    total = imitation + config.return_weight * returns.sum()
    return CloningLoss(total, imitation, returns, heads.logits.argmax(dim=-1))


@torch.no_grad()
def cloning_scores(
    model: ActorCritic, rows: Demonstrations, config: CloningConfig
) -> CloningScores:
    """Scores of a policy on a whole split, dropout off."""
    model.eval()
    loss = cloning_loss(model, rows, config)
    confusion = torch.zeros(model.num_actions, model.num_actions, device=rows.actions.device)
    ones = torch.ones_like(rows.actions, dtype=confusion.dtype)
    confusion.index_put_((rows.actions, loss.predicted_action), ones, accumulate=True)
    occurrences = confusion.sum(dim=1)
    recall = confusion.diagonal()[occurrences > 0] / occurrences[occurrences > 0]
    return CloningScores(
        loss=float(loss.total),
        imitation_loss=float(loss.imitation),
        accuracy=float(confusion.diagonal().sum() / occurrences.sum()),
        balanced_accuracy=float(recall.mean()),
        majority_share=float(occurrences.max() / occurrences.sum()),
        return_losses=loss.returns.tolist(),
    )
