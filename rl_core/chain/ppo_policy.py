"""ppo_policy: the clone, improved by trading the training span."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import torch

from rl_core.backtest.preparation import PreparedMarket
from rl_core.chain import CHAIN
from rl_core.chain.bc_policy import demonstrations
from rl_core.chain.workplace import Workplace
from rl_core.checks import Check
from rl_core.desk import DeskConfig
from rl_core.envs.spot import SpotMarket, SpotParams
from rl_core.evaluation.figures import number
from rl_core.evaluation.policy_walk import PolicyDecisions, decide, span_walk
from rl_core.models.actor_critic import ActorCritic
from rl_core.models.policy_file import Policy, load_policy, save_policy
from rl_core.offline.dataset import dataset_arrays
from rl_core.registry.lake import Artifact
from rl_core.runtime.files import write_json
from rl_core.trading.performance import Performance
from rl_core.training.cloning import cloning_scores
from rl_core.training.ppo import ReturnTargets, train_ppo
from rl_core.training.ppo_figures import PPOIteration
from rl_core.training.rollout import TrainingMarket, allowed_starts

MIN_EXPLAINED_VARIANCE = 0.5


def build_ppo_policy(work: Workplace, device: torch.device, say: Callable[[str], None]) -> Artifact:
    """Fine-tune the clone with PPO and seal the best validated policy."""
    desk, inputs = work.desk, work.inputs("bars", "regime_dataset", "bc_policy")
    metadata: dict[str, Any] = {}
    timings: dict[str, float] = {}
    with work.lake.build("ppo_policy", inputs, desk.resolved(), metadata, timings) as directory:
        dataset = work.read_dataset("regime_dataset")
        clone = load_policy(work.lake.directory / "bc_policy", device)
        market = work.read_market(clone.spec.thresholds)
        train_rows, _ = demonstrations(work, device)
        targets = return_targets(desk, clone.model, dataset, len(market.bars), device)
        span = split_span(dataset, "validation")
        scored: list[Performance] = []  # of the clone, then of each validated iteration

        def validate(model: ActorCritic) -> float | None:
            scored.append(evaluate_policy(desk, market, model, span)[1])
            return scored[-1].sharpe

        say(f"ppo: scoring the clone on {span[1] - span[0] + 1:,} validation bars")
        losses_before = cloning_scores(clone.model, train_rows, desk.bc).return_losses
        best, history = train_ppo(
            clone.model,
            training_market(desk, market, dataset, device),
            targets,
            desk.ppo,
            validate,
            lambda figures: say(iteration_line(figures, desk.ppo.iterations)),
        )
        say(best_line(best))
        spec = clone.spec.model_copy(
            update={"trained_horizons": trained_horizons(desk, clone, best)}
        )
        save_policy(directory, Policy(clone.model, spec))
        write_json(
            directory / "history.json",
            [figures.model_dump(exclude={"steps_per_second"}) for figures in history],
        )
        validated = [0, *filter(desk.ppo.validates, range(1, desk.ppo.iterations + 1))]
        kept = next((figures for figures in history if figures.iteration == best), history[-1])
        metadata |= {
            "best_iteration": best,
            "env_steps": history[-1].env_steps,
            "explained_variance": kept.explained_variance,
            "entropy": kept.entropy,
            "skipped_updates": history[-1].skipped_updates,
            # on all training rows: those logged at each update are of that rollout's bars only
            "return_losses_before": dict(zip(desk.dataset.horizons, losses_before, strict=True)),
            "return_losses_after": dict(
                zip(
                    desk.dataset.horizons,
                    cloning_scores(clone.model, train_rows, desk.bc).return_losses,
                    strict=True,
                )
            ),
            "validation_of_clone": scored[0].model_dump(),
            "validation": scored[validated.index(best)].model_dump(),
        }
        timings["steps_per_second"] = float(np.median([f.steps_per_second for f in history]))
    return work.lake.load("ppo_policy")


def trained_horizons(desk: DeskConfig, clone: Policy, best_iteration: int) -> tuple[str, ...]:
    """Horizons whose head belongs to the kept encoder.

    A head that PPO leaves alone while it moves the encoder is no longer trained.
    """
    if best_iteration == 0:
        return clone.spec.trained_horizons
    return tuple(h for h in desk.dataset.horizons if desk.ppo.auxiliary_coefficient(h) > 0)


def best_line(best: int) -> str:
    """Which iteration was kept."""
    if best == 0:
        return (
            "ppo: no iteration did better than the clone on the validation span; the clone is kept"
        )
    return f"ppo: iteration {best} did best on the validation span and is kept"


def training_market(
    desk: DeskConfig, market: PreparedMarket, dataset: pd.DataFrame, device: torch.device
) -> TrainingMarket:
    """The market with starts at the training rows that the regime filter kept."""
    kept = torch.tensor(
        dataset.loc[dataset["split"] == "train", "bar"].to_numpy(np.int64), device=device
    )
    return TrainingMarket(
        market=SpotMarket.from_prepared(market, device),
        params=SpotParams(market.rates, desk.account, desk.environment),
        starts=allowed_starts(kept, desk.ppo.rollout_steps),
    )


def return_targets(
    desk: DeskConfig, model: ActorCritic, dataset: pd.DataFrame, num_bars: int, device: torch.device
) -> ReturnTargets:
    """Targets by bar in units of the model's return scale; unknown outside the training rows."""
    horizons = desk.dataset.horizons
    train = dataset[dataset["split"] == "train"]
    values = torch.full((num_bars, len(horizons)), torch.nan, device=device)
    rows = torch.tensor(train["bar"].to_numpy(np.int64), device=device)
    known = torch.tensor(dataset_arrays(dataset, horizons, "train").returns, device=device)
    values[rows] = known / model.return_scale
    return ReturnTargets(horizons, values)


def split_span(dataset: pd.DataFrame, split: str) -> tuple[int, int]:
    """First and last bar of a split."""
    bars = dataset.loc[dataset["split"] == split, "bar"]
    return int(bars.min()), int(bars.max())


def evaluate_policy(
    desk: DeskConfig, market: PreparedMarket, model: ActorCritic, span: tuple[int, int]
) -> tuple[PolicyDecisions, Performance]:
    """Walk a policy through a span at full costs."""
    device = next(model.parameters()).device
    exact = SpotMarket.from_prepared(market, device, torch.float64)
    params = SpotParams(market.rates, desk.account, desk.environment)
    decisions = decide(model, exact, params, *span)
    _, performance = span_walk(market, desk.account, span[0], decisions.action, decisions.strength)
    return decisions, performance


def iteration_line(figures: PPOIteration, iterations: int) -> str:
    """One iteration for people."""
    if figures.iteration <= 0:
        stage = f"ppo: critic warm-up {figures.iteration}"
    else:
        stage = f"ppo: iteration {figures.iteration}/{iterations}"
    parts = [
        f"{stage} return {figures.mean_return:+.3f}",
        f"value loss {number(figures.value_loss, 3)}",
        f"explained variance {figures.explained_variance:.2f}",
    ]
    if figures.entropy is not None:
        parts.append(
            f"entropy {figures.entropy:.3f} KL {figures.approx_kl:.4f} "
            f"clipped {figures.clip_fraction:.3f}"
        )
    parts += [f"return head {h} {loss:.4f}" for h, loss in figures.auxiliary_losses.items()]
    parts.append(f"{figures.steps_per_second:,.0f} steps/s")
    if figures.validation_score is not None:
        parts.append(f"validation Sharpe {figures.validation_score:.2f}")
    return " | ".join(parts)


def run_checks(work: Workplace) -> list[Check]:
    """Warn of training that went badly."""
    metadata = work.lake.load("ppo_policy").metadata
    variance, skipped = metadata["explained_variance"], metadata["skipped_updates"]
    return [
        Check(
            name="no_update_was_skipped",
            passed=skipped == 0,
            is_blocking=CHAIN["ppo_policy"]["no_update_was_skipped"],
            detail=f"{skipped} updates skipped for gradients that were not finite",
            figures={"skipped": skipped},
        ),
        Check(
            name="critic_explains_the_returns",
            passed=variance > MIN_EXPLAINED_VARIANCE,
            is_blocking=CHAIN["ppo_policy"]["critic_explains_the_returns"],
            detail=f"explained variance {variance:.2f}, above {MIN_EXPLAINED_VARIANCE}",
            figures={"explained_variance": variance},
        ),
        Check(
            name="ppo_improved_on_the_clone",
            passed=metadata["best_iteration"] > 0,
            is_blocking=CHAIN["ppo_policy"]["ppo_improved_on_the_clone"],
            detail=best_line(metadata["best_iteration"]),
            figures={"best_iteration": metadata["best_iteration"]},
        ),
    ]
