"""prediction_validation: the gate. The only link that reads the test span."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch

from rl_core.chain.bars import read_caveats
from rl_core.chain.scoring import evaluate_policy, split_span
from rl_core.chain.workplace import Workplace
from rl_core.checks import Check
from rl_core.errors import validated
from rl_core.evaluation.gate import (
    Evidence,
    GateReport,
    Imitation,
    judge,
    measure_latencies,
)
from rl_core.evaluation.metrics import PredictionMetrics, prediction_metrics
from rl_core.evaluation.policy_walk import PolicyDecisions
from rl_core.evaluation.report import markdown, plot_equity, plot_predictions
from rl_core.evaluation.verdict import verdict
from rl_core.models.policy_file import Policy, load_policy
from rl_core.offline.dataset import action_distribution, dataset_arrays
from rl_core.registry.lake import Artifact
from rl_core.runtime.files import read_json, write_json
from rl_core.serving.predict import decide_state
from rl_core.training.cloning import Demonstrations, cloning_scores


def build_prediction_validation(work: Workplace) -> Artifact:
    """Judge the policy on the test span and seal the report, whatever the verdict."""
    desk, lake = work.desk, work.lake
    inputs = work.inputs("bars", "offline_dataset", "regime_dataset", "ppo_policy")
    policy = load_policy(lake.directory / "ppo_policy")
    dataset, market = work.read_dataset("offline_dataset"), work.read_market(policy.spec.thresholds)
    test = dataset[dataset["split"] == "test"]
    first, last = split_span(dataset, "test")
    family = work.family
    decisions, own = evaluate_policy(family, market, policy.model, (first, last))
    walks = {
        "policy": own,
        "teacher": family.walk(
            market, first, test["action"].to_numpy(np.int8), test["strength"].to_numpy(np.float64)
        ),
        **family.benchmarks(market, first, len(test)),
    }
    evidence = gather_evidence(work, policy, dataset, decisions, own.equity)
    checks = judge(evidence, desk.gate)
    report = GateReport(
        desk=desk.name,
        data=desk.bars.market_name,
        policy=inputs["ppo_policy"].content,
        test_start=str(test["timestamp"].iloc[0]),
        test_end=str(test["timestamp"].iloc[-1]),
        test_bars=len(test),
        is_safe=all(check.passed for check in checks),
        is_skilled=None,
        checks=checks,
        predictions=metrics_by_horizon(evidence),
        performance={name: walk.performance for name, walk in walks.items()},
        actions=action_distribution(decisions.action, policy.spec.actions),
        caveats=read_caveats(work),
    )
    metadata = {
        "is_safe": report.is_safe,
        "failed": [check.name for check in checks if not check.passed],
        "verdict": verdict(report.model_dump()),
        **{name: p.model_dump() for name, p in report.performance.items()},
        "predictions": {horizon: m.model_dump() for horizon, m in report.predictions.items()},
    }
    with lake.build("prediction_validation", inputs, desk.resolved(), metadata) as directory:
        write_json(directory / "report.json", report.model_dump(mode="json"))
        (directory / "report.md").write_text(markdown(report))
        curves = {name: walk.equity for name, walk in walks.items()}
        write_plots(directory, report.data, test["timestamp"], evidence, curves)
    return lake.load("prediction_validation")


def gather_evidence(
    work: Workplace,
    policy: Policy,
    dataset: pd.DataFrame,
    decisions: PolicyDecisions,
    equity: np.ndarray,
) -> Evidence:
    """Bring together what the checks look at."""
    horizons = policy.spec.horizons
    state = decisions.states[-1]
    return Evidence(
        horizons=horizons,
        predictions=trained_predictions(policy, decisions),
        targets=dataset_arrays(dataset, horizons, "test").returns.astype(np.float64),
        actions=decisions.action,
        action_names=policy.spec.actions,
        train=imitation(work, policy, work.read_dataset("regime_dataset"), "train"),
        test=imitation(work, policy, dataset, "test"),
        latencies_seconds=measure_latencies(lambda: decide_state(policy, state)),
        account_error=relative_error(equity, decisions.equity),
    )


def trained_predictions(policy: Policy, decisions: PolicyDecisions) -> np.ndarray | None:
    """Predictions (S, H), if every horizon's return head was trained."""
    is_trained = set(policy.spec.trained_horizons) == set(policy.spec.horizons)
    return decisions.predicted_returns if is_trained else None


def metrics_by_horizon(evidence: Evidence) -> dict[str, PredictionMetrics]:
    """Prediction metrics; empty where predictions are missing or not finite."""
    predictions = evidence.predictions
    if predictions is None or not np.isfinite(predictions).all():
        return {}
    return {
        horizon: prediction_metrics(prediction, target)
        for horizon, prediction, target in zip(
            evidence.horizons, predictions.T, evidence.targets.T, strict=True
        )
    }


def relative_error(values: np.ndarray, expected: np.ndarray) -> float:
    """Largest relative difference, 0 where both are 0."""
    return float((np.abs(values - expected) / np.maximum(np.abs(expected), 1e-9)).max())


def imitation(work: Workplace, policy: Policy, dataset: pd.DataFrame, split: str) -> Imitation:
    """How the policy imitates the teacher on the teacher's own states."""
    arrays = dataset_arrays(dataset, policy.spec.horizons, split)
    rows = Demonstrations.from_arrays(arrays, torch.device("cpu"))
    scores = cloning_scores(policy.model, rows, work.desk.bc)
    return Imitation(scores.imitation_loss, scores.accuracy)


def write_plots(
    directory: Path,
    data: str,
    timestamps: pd.Series,
    evidence: Evidence,
    equity: dict[str, np.ndarray],
) -> None:
    """Equity, and predicted against realised for each horizon."""
    plot_equity(directory / "equity.png", data, timestamps, equity)
    if evidence.predictions is None:
        return
    for horizon, prediction, target in zip(
        evidence.horizons, evidence.predictions.T, evidence.targets.T, strict=True
    ):
        plot_predictions(
            directory / f"predictions_{horizon}.png", data, horizon, prediction, target
        )


def read_report(work: Workplace) -> GateReport:
    """The sealed report."""
    work.lake.load("prediction_validation")
    path = work.lake.path("prediction_validation", "report.json")
    return validated(GateReport, read_json(path), str(path))


def run_checks(work: Workplace) -> list[Check]:
    """The checks of the sealed report."""
    return read_report(work).checks
