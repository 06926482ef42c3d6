"""bc_policy: a network that decides as the ensemble did."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from safetensors.torch import save_file

from rl_core.base.checks import Check
from rl_core.base.files import write_json
from rl_core.learning.cloning.clone import (
    CloningEpoch,
    Demonstrations,
    clone_behaviour,
    confusion_matrix,
    split_heads,
)
from rl_core.learning.cloning.overfitting import OverfittingReport, overfitting_report
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
from rl_core.offline.dataset import dataset_arrays
from rl_core.steps import CHAIN
from rl_core.steps.context import Workplace
from rl_core.store.artifacts import Artifact
from rl_core.trading.accounts import HOLD


@dataclass(frozen=True)
class Clone:
    """One seed's clone."""

    seed: int
    policy: Policy
    best: int  # epoch, from 1
    history: list[CloningEpoch]
    initial_heads: dict[str, torch.Tensor]  # of the return heads, before training

    @property
    def kept(self) -> CloningEpoch:
        """The epoch whose weights it has."""
        return self.history[self.best - 1]


def build_bc_policy(work: Workplace, device: torch.device, say: Callable[[str], None]) -> Artifact:
    """Clone the ensemble's behaviour, once a seed, and seal the best clone with all the others."""
    desk, inputs = work.desk, work.inputs("regime_dataset")
    metadata: dict[str, Any] = {}
    with work.lake.build("bc_policy", inputs, desk.resolved(), metadata) as directory:
        train, validation = demonstrations(work, device)
        clones = [train_clone(work, seed, train, validation, say) for seed in desk.bc.seeds]
        best = min(clones, key=lambda clone: clone.kept.validation.loss)
        report = overfitting_report(
            best.best, best.history, len(train.actions), desk.bc, desk.model
        )
        for line in overfitting_lines(report):
            say(line)
        save_policy(directory, best.policy)
        save_file(best.initial_heads, directory / INITIAL_HEADS)
        write_json(directory / "history.json", [epoch.model_dump() for epoch in best.history])
        metadata |= {
            "best_epoch": best.best,
            "epochs": len(best.history),
            "parameters": sum(p.numel() for p in best.policy.model.parameters()),
            "seed": best.seed,
            "skipped_updates": best.history[-1].skipped_updates,
            "train": best.kept.train.model_dump(),
            "validation": best.kept.validation.model_dump(),
            "overfitting": report.model_dump(),
        }
        if len(clones) > 1:
            for clone in clones:
                save_weights(directory / f"seed_{clone.seed}.safetensors", clone.policy.model)
            metadata["ensemble"] = ensemble_figures(clones, validation, desk.bc)
            say(ensemble_line(metadata["ensemble"]))
    return work.lake.load("bc_policy")


def train_clone(
    work: Workplace,
    seed: int,
    train: Demonstrations,
    validation: Demonstrations,
    say: Callable[[str], None],
) -> Clone:
    """Clone with one seed."""
    desk, device = work.desk, train.actions.device
    torch.manual_seed(seed)
    spec = PolicySpec(
        model=desk.model,
        features=work.kind.state.names,
        actions=work.kind.actions,
        has_strength=work.kind.has_strength,
        horizons=desk.dataset.horizons,
        trained_horizons=desk.dataset.horizons if desk.bc.return_weight > 0 else (),
        thresholds=work.read_thresholds("regime_dataset"),
    )
    policy = Policy(new_model(spec).to(device), spec)
    initial_heads = head_weights(policy.model)
    parameters = sum(p.numel() for p in policy.model.parameters())
    say(
        f"bc: seed {seed}, {len(train.actions):,} training rows, {parameters:,} parameters, "
        f"on {device}"
    )
    best, history = clone_behaviour(
        policy.model, train, validation, desk.bc, seed,
        lambda epoch: say(epoch_line(epoch, desk.bc.epochs)),
        num_market=len(work.kind.state.market),
    )  # fmt: skip
    say(f"bc: best epoch {best}, validation loss {history[best - 1].validation.loss:.4f}")
    return Clone(seed, policy, best, history, initial_heads)


def demonstrations(work: Workplace, device: torch.device) -> tuple[Demonstrations, Demonstrations]:
    """Training and validation rows of the regime dataset, on the device."""
    dataset, horizons = work.read_dataset("regime_dataset"), work.desk.dataset.horizons
    train, validation = (
        Demonstrations.from_arrays(dataset_arrays(dataset, horizons, split), device)
        for split in ("train", "validation")
    )
    return train, validation


@torch.no_grad()
def ensemble_figures(
    clones: list[Clone], rows: Demonstrations, config: CloningConfig
) -> dict[str, Any]:
    """How the seeds' majority vote imitates the teacher, beside each seed alone."""
    heads = [split_heads(clone.policy.model.eval(), rows, config) for clone in clones]
    action, strength = vote(heads)
    is_order = (rows.actions != HOLD) & (action == rows.actions)
    num_actions = heads[0].logits.shape[-1]
    confusion = confusion_matrix(action, rows.actions, num_actions)
    occurrences = confusion.sum(dim=1)
    recall = confusion.diagonal()[occurrences > 0] / occurrences[occurrences > 0]
    return {
        "seeds": [clone.seed for clone in clones],
        "accuracy": float((action == rows.actions).float().mean()),
        "balanced_accuracy": float(recall.mean()),
        "strength_error": float((strength - rows.strengths)[is_order].abs().mean()),
        "accuracy_by_seed": {str(clone.seed): clone.kept.validation.accuracy for clone in clones},
    }


def ensemble_line(figures: dict[str, Any]) -> str:
    """The vote beside its members."""
    alone = ", ".join(f"{seed} {a:.3f}" for seed, a in figures["accuracy_by_seed"].items())
    return (
        f"bc: majority vote of {len(figures['seeds'])} seeds: validation accuracy "
        f"{figures['accuracy']:.3f}, balanced {figures['balanced_accuracy']:.3f} (alone: {alone})"
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
    """One epoch for people."""
    t, v = epoch.train, epoch.validation
    risk = "" if v.risk_accuracy is None else f" risk {t.risk_accuracy:.3f} ({v.risk_accuracy:.3f})"
    return (
        f"bc: epoch {epoch.epoch}/{epochs} loss {t.loss:.4f} (validation {v.loss:.4f}) accuracy "
        f"{t.accuracy:.3f} ({v.accuracy:.3f}) balanced {t.balanced_accuracy:.3f} "
        f"({v.balanced_accuracy:.3f}) majority {t.majority_share:.3f} ({v.majority_share:.3f})"
        f"{risk}"
    )


def run_checks(work: Workplace) -> list[Check]:
    """Warn of a clone that learned nothing or learned by heart."""
    metadata, limits = work.lake.load("bc_policy").metadata, work.desk.gate
    train, validation = metadata["train"], metadata["validation"]
    gap = validation["imitation_loss"] - train["imitation_loss"]
    advice = metadata["overfitting"]["advice"]
    return [
        Check(
            name="clone_beats_the_majority_class",
            passed=validation["accuracy"] > validation["majority_share"],
            is_blocking=CHAIN["bc_policy"]["clone_beats_the_majority_class"],
            detail=f"validation accuracy {validation['accuracy']:.3f}, balanced "
            f"{validation['balanced_accuracy']:.3f}, majority class "
            f"{validation['majority_share']:.3f}",
            figures={
                "accuracy": validation["accuracy"],
                "majority_share": validation["majority_share"],
            },
        ),
        Check(
            name="clone_did_not_learn_by_heart",
            passed=gap <= limits.max_loss_gap,
            is_blocking=CHAIN["bc_policy"]["clone_did_not_learn_by_heart"],
            detail=f"imitation loss {train['imitation_loss']:.3f} on train, "
            f"{validation['imitation_loss']:.3f} on validation, "
            f"limit of the gap {limits.max_loss_gap}" + "".join(f"; try {a}" for a in advice),
            figures={"gap": gap},
        ),
    ]
