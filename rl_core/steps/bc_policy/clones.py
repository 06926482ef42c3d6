"""Clones of the teacher, one a seed."""

import logging
from dataclasses import dataclass

import torch

from rl_core.base.files import write_json
from rl_core.learning.cloning.clone import (
    Demonstrations,
    clone_behaviour,
    confusion_matrix,
    split_heads,
)
from rl_core.learning.cloning.figures import CloningEpoch, OverfittingReport
from rl_core.learning.cloning.overfitting import overfitting_report
from rl_core.learning.models.actor_critic import head_weights
from rl_core.learning.models.policy_file import (
    INITIAL_HEADS,
    Policy,
    PolicySpec,
    new_model,
    save_policy,
    save_weights,
)
from rl_core.learning.models.vote import vote
from rl_core.learning.settings import CloningConfig
from rl_core.steps.bc_policy.demonstrations import demonstrations
from rl_core.steps.bc_policy.facts import CloneFacts, SeedEnsemble
from rl_core.steps.context import Task
from rl_core.steps.reading import read_thresholds
from rl_core.steps.regime_dataset import REGIMES
from rl_core.store.tensors import write_tensors
from rl_core.trading.accounts import HOLD

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Clone:
    """The clone that one seed led to."""

    seed: int
    policy: Policy
    best: int  # epoch, from 1
    history: list[CloningEpoch]
    initial_heads: dict[str, torch.Tensor]  # of the return heads, before training

    @property
    def kept(self) -> CloningEpoch:
        """The epoch whose weights it has."""
        return self.history[self.best - 1]


def build(task: Task) -> CloneFacts:
    """Clone the teacher's behaviour, once a seed; the best clone goes on, all are kept."""
    desk, directory = task.context.desk, task.directory
    train, validation = demonstrations(
        task.input(REGIMES), desk.dataset.horizons, task.options.device
    )
    clones = [train_clone(task, seed, train, validation) for seed in desk.bc.seeds]
    best = min(clones, key=lambda clone: clone.kept.validation.loss)
    report = overfitting_report(best.best, best.history, len(train.actions), desk.bc, desk.model)
    for line in overfitting_lines(report):
        log.info(line)
    save_policy(directory, best.policy)
    write_tensors(directory / INITIAL_HEADS, best.initial_heads)
    write_json(directory / "history.json", [epoch.model_dump() for epoch in best.history])
    figures: SeedEnsemble | None = None
    if len(clones) > 1:
        for clone in clones:
            save_weights(directory / f"seed_{clone.seed}.safetensors", clone.policy.model)
        figures = seed_ensemble(clones, validation, desk.bc)
        log.info(ensemble_line(figures))
    return CloneFacts(
        best_epoch=best.best,
        epochs=len(best.history),
        parameters=sum(p.numel() for p in best.policy.model.parameters()),
        seed=best.seed,
        skipped_updates=best.history[-1].skipped_updates,
        train=best.kept.train,
        validation=best.kept.validation,
        overfitting=report,
        seed_ensemble=figures,
    )


def train_clone(task: Task, seed: int, train: Demonstrations, validation: Demonstrations) -> Clone:
    """Clone the teacher with one seed."""
    context, device = task.context, train.actions.device
    desk, kind = context.desk, context.kind
    torch.manual_seed(seed)
    spec = PolicySpec(
        model=desk.model,
        features=kind.state.names,
        actions=kind.actions,
        has_strength=kind.has_strength,
        horizons=desk.dataset.horizons,
        trained_horizons=desk.dataset.horizons if desk.bc.return_weight > 0 else (),
        thresholds=read_thresholds(task.input(REGIMES)),
    )
    policy = Policy(new_model(spec).to(device), spec)
    initial_heads = head_weights(policy.model)
    parameters = sum(p.numel() for p in policy.model.parameters())
    log.info(
        f"bc: seed {seed}, {len(train.actions):,} training rows, {parameters:,} parameters, "
        f"on {device}"
    )
    best, history = clone_behaviour(
        policy.model, train, validation, desk.bc, seed,
        lambda epoch: log.info(epoch_line(epoch, desk.bc.epochs)),
        num_market=len(kind.state.market),
    )  # fmt: skip
    log.info(f"bc: best epoch {best}, validation loss {history[best - 1].validation.loss:.4f}")
    return Clone(seed, policy, best, history, initial_heads)


@torch.no_grad()
def seed_ensemble(clones: list[Clone], rows: Demonstrations, config: CloningConfig) -> SeedEnsemble:
    """How the seeds' majority vote imitates the teacher, beside each seed alone."""
    heads = [split_heads(clone.policy.model.eval(), rows, config) for clone in clones]
    action, strength = vote(heads)
    is_order = (rows.actions != HOLD) & (action == rows.actions)
    num_actions = heads[0].logits.shape[-1]
    confusion = confusion_matrix(action, rows.actions, num_actions)
    occurrences = confusion.sum(dim=1)
    recall = confusion.diagonal()[occurrences > 0] / occurrences[occurrences > 0]
    return SeedEnsemble(
        seeds=[clone.seed for clone in clones],
        accuracy=float((action == rows.actions).float().mean()),
        balanced_accuracy=float(recall.mean()),
        strength_error=float((strength - rows.strengths)[is_order].abs().mean()),
        accuracy_by_seed={str(clone.seed): clone.kept.validation.accuracy for clone in clones},
    )


def ensemble_line(figures: SeedEnsemble) -> str:
    """The accuracy of the vote beside that of each member."""
    alone = ", ".join(f"{seed} {a:.3f}" for seed, a in figures.accuracy_by_seed.items())
    return (
        f"bc: majority vote of {len(figures.seeds)} seeds: validation accuracy "
        f"{figures.accuracy:.3f}, balanced {figures.balanced_accuracy:.3f} (alone: {alone})"
    )


def overfitting_lines(report: OverfittingReport) -> list[str]:
    """The verdict, and advice if there is need of it."""
    verdict = "overfit" if report.is_overfit else "not overfit"
    lines = [
        f"bc: {verdict}: imitation loss {report.loss_gap:+.3f} and accuracy "
        f"{-report.accuracy_gap:+.3f} on validation against train (limits +0.2, -0.1)"
        + ("; validation loss rose after the epoch that was kept" if report.rose_after_best else "")
    ]
    return lines + [f"bc:   try {advice}" for advice in report.advice]


def epoch_line(epoch: CloningEpoch, epochs: int) -> str:
    """The scores of one epoch as a line for people."""
    t, v = epoch.train, epoch.validation
    risk = "" if v.risk_accuracy is None else f" risk {t.risk_accuracy:.3f} ({v.risk_accuracy:.3f})"
    return (
        f"bc: epoch {epoch.epoch}/{epochs} loss {t.loss:.4f} (validation {v.loss:.4f}) accuracy "
        f"{t.accuracy:.3f} ({v.accuracy:.3f}) balanced {t.balanced_accuracy:.3f} "
        f"({v.balanced_accuracy:.3f}) majority {t.majority_share:.3f} ({v.majority_share:.3f})"
        f"{risk}"
    )
