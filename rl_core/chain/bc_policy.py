"""bc_policy: a network that decides as the ensemble did."""

from collections.abc import Callable
from typing import Any

import torch

from rl_core.chain import CHAIN
from rl_core.chain.workplace import Workplace
from rl_core.checks import Check
from rl_core.models.policy_file import Policy, PolicySpec, new_model, save_policy
from rl_core.offline.dataset import dataset_arrays
from rl_core.registry.lake import Artifact
from rl_core.runtime.files import write_json
from rl_core.training.cloning import CloningEpoch, Demonstrations, clone_behaviour


def build_bc_policy(work: Workplace, device: torch.device, say: Callable[[str], None]) -> Artifact:
    """Clone the ensemble's behaviour and seal the policy."""
    desk, inputs = work.desk, work.inputs("regime_dataset")
    metadata: dict[str, Any] = {}
    with work.lake.build("bc_policy", inputs, desk.resolved(), metadata) as directory:
        train, validation = demonstrations(work, device)
        torch.manual_seed(desk.bc.seed)
        spec = PolicySpec(
            model=desk.model,
            horizons=desk.dataset.horizons,
            trained_horizons=desk.dataset.horizons if desk.bc.return_weight > 0 else (),
            thresholds=work.read_thresholds("regime_dataset"),
        )
        policy = Policy(new_model(spec).to(device), spec)
        parameters = sum(p.numel() for p in policy.model.parameters())
        say(f"bc: {len(train.actions)} training rows, {parameters:,} parameters, on {device}")
        best, history = clone_behaviour(
            policy.model,
            train,
            validation,
            desk.bc,
            lambda epoch: say(epoch_line(epoch, desk.bc.epochs)),
        )
        chosen = history[best - 1]
        say(f"bc: best epoch {best}, validation loss {chosen.validation.loss:.4f}")
        save_policy(directory, policy)
        write_json(directory / "history.json", [epoch.model_dump() for epoch in history])
        metadata |= {
            "best_epoch": best,
            "epochs": len(history),
            "parameters": parameters,
            "skipped_updates": history[-1].skipped_updates,
            "train": chosen.train.model_dump(),
            "validation": chosen.validation.model_dump(),
        }
    return work.lake.load("bc_policy")


def demonstrations(work: Workplace, device: torch.device) -> tuple[Demonstrations, Demonstrations]:
    """Training and validation rows of the regime dataset, on the device."""
    dataset, horizons = work.read_dataset("regime_dataset"), work.desk.dataset.horizons
    train, validation = (
        Demonstrations.from_arrays(dataset_arrays(dataset, horizons, split), device)
        for split in ("train", "validation")
    )
    return train, validation


def epoch_line(epoch: CloningEpoch, epochs: int) -> str:
    """One epoch for people."""
    t, v = epoch.train, epoch.validation
    return (
        f"bc: epoch {epoch.epoch}/{epochs} loss {t.loss:.4f} (validation {v.loss:.4f}) accuracy "
        f"{t.accuracy:.3f} ({v.accuracy:.3f}) balanced {t.balanced_accuracy:.3f} "
        f"({v.balanced_accuracy:.3f}) majority {t.majority_share:.3f} ({v.majority_share:.3f})"
    )


def run_checks(work: Workplace) -> list[Check]:
    """Warn of a clone that learned nothing or learned by heart."""
    metadata, limits = work.lake.load("bc_policy").metadata, work.desk.gate
    train, validation = metadata["train"], metadata["validation"]
    gap = validation["imitation_loss"] - train["imitation_loss"]
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
            f"limit of the gap {limits.max_loss_gap}",
            figures={"gap": gap},
        ),
    ]
