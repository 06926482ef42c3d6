"""What the commands share: which function builds which link, and how training is run."""

from collections.abc import Callable, Mapping
from typing import Any

import torch

from rl_core.chain.backtest_history import build_backtest_history
from rl_core.chain.bars import build_bars
from rl_core.chain.offline_dataset import build_offline_dataset
from rl_core.chain.prediction_validation import build_prediction_validation
from rl_core.chain.regime_dataset import build_regime_dataset
from rl_core.chain.workplace import Workplace
from rl_core.cli import show
from rl_core.cli.output import emit
from rl_core.desk import load_desk
from rl_core.errors import TollgateError
from rl_core.registry.lake import Artifact
from rl_core.runtime.progress import reporter

BUILDERS: dict[str, Callable[[Workplace], Artifact]] = {
    "bars": build_bars,
    "backtest_history": build_backtest_history,
    "offline_dataset": build_offline_dataset,
    "regime_dataset": build_regime_dataset,
    "prediction_validation": build_prediction_validation,
}

Trainer = Callable[[Workplace, torch.device, Callable[[str], None]], Artifact]


def train(
    builder: Trainer, desk: str, changes: Mapping[str, Any], device: str, as_json: bool
) -> None:
    """Build a policy with some settings changed; tell the terminal, and Dagster if it asked."""
    work = Workplace.open(load_desk(desk).with_settings(dict(changes)))
    with reporter() as progress:
        artifact = builder(work, pick_device(device), progress.line)
        progress.materialized({**artifact.metadata, **artifact.timings}, artifact.content)
    emit(artifact.model_dump(exclude={"config"}), as_json, show.artifact)


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` is CUDA if there is one.

    Raises:
        TollgateError: there is no such device.
    """
    wanted = name if name != "auto" else ("cuda" if torch.cuda.is_available() else "cpu")
    try:
        return torch.zeros(1, device=wanted).device
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise TollgateError(
            f"--device must be a device of this machine, was {name}: {reason}"
        ) from None
