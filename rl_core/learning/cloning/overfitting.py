"""Has a clone learned by heart, and what would help?"""

from rl_core.learning.cloning.figures import CloningEpoch, OverfittingReport
from rl_core.learning.settings import CloningConfig, ModelConfig

MAX_LOSS_GAP, MAX_ACCURACY_GAP = 0.2, 0.10
SMALL_DATASET = 5_000


def overfitting_report(
    best: int,
    history: list[CloningEpoch],
    num_rows: int,
    config: CloningConfig,
    model: ModelConfig,
) -> OverfittingReport:
    """Judge the kept epoch, and say what to change if train is too far ahead.

    Args:
        best: number of the kept epoch, from 1.
        history: every epoch.
        num_rows: of training.
        config: as trained.
        model: as trained.
    """
    kept, last = history[best - 1], history[-1]
    loss_gap = kept.validation.imitation_loss - kept.train.imitation_loss
    accuracy_gap = kept.train.accuracy - kept.validation.accuracy
    is_overfit = loss_gap > MAX_LOSS_GAP or accuracy_gap > MAX_ACCURACY_GAP
    rose = last.validation.loss > kept.validation.loss and last.train.loss < kept.train.loss
    return OverfittingReport(
        loss_gap=loss_gap,
        accuracy_gap=accuracy_gap,
        is_overfit=is_overfit,
        rose_after_best=rose,
        advice=_advice(num_rows, config, model) if is_overfit else [],
    )


def _advice(num_rows: int, config: CloningConfig, model: ModelConfig) -> list[str]:
    """What is still to be tried, in the order in which to try it."""
    advice: list[str] = []
    if model.dropout < 0.2:
        advice.append(f"more dropout: --dropout 0.2 (now {model.dropout:g})")
    if config.weight_decay < 1e-3:
        advice.append(f"more weight decay: --weight-decay 1e-3 (now {config.weight_decay:g})")
    if config.noise == 0:
        advice.append("noise on the inputs: --noise 0.1 (now none)")
    if model.hidden_dim > 64:
        advice.append(f"a narrower network: --hidden-dim 64 (now {model.hidden_dim})")
    if model.encoder_layers > 1:
        advice.append(f"a shallower one: --num-layers 1 (now {model.encoder_layers})")
    if num_rows < SMALL_DATASET:
        advice.append(f"more data: a longer range of bars (now {num_rows:,} training rows)")
    return advice or ["less of everything: the usual remedies are in use already"]
