"""The whole chain of a small desk, link by link, and what must stop it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError
from rl_core.judging.accounts import CONTENDERS
from rl_core.judging.reports.verdict import verdict
from rl_core.lab.markets.spot import simulate_bars
from rl_core.learning.models.policy_file import new_model
from rl_core.steps.backtest_history import HISTORY
from rl_core.steps.bars import BARS
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.context import DeskContext
from rl_core.steps.deployed_model.step import DEPLOYED
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction import closed_bars, predict_latest
from rl_core.steps.prediction_validation.contenders import contenders
from rl_core.steps.prediction_validation.judged import JudgedPolicy
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.runner import build, verdicts
from rl_core.steps.step import Step
from rl_core.steps.summary import summarise_chain
from tests.chain import (
    OPTIONS,
    bars_file,
    changed,
    deploy,
    edited,
    file_of,
    read_dataset,
    read_market,
    read_policy,
    read_report,
    run_chain,
    served_policy,
)
from tests.conftest import LENIENT, small_desk

UPSTREAM = tuple(step.name for step in GATE.ancestors)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> DeskContext:
    folder = tmp_path_factory.mktemp("chain")
    work = run_chain(small_desk(bars_file(folder)), folder)
    deploy(work)
    return work


def test_the_served_model_traces_back_to_its_bars(work: DeskContext) -> None:
    manifest = work.models.served("shadow").manifest
    assert set(manifest.lineage) == {*UPSTREAM, "prediction_validation"}
    bars = work.open_artifact(BARS)
    assert manifest.lineage["bars"].content == bars.content
    assert manifest.lineage["bars"].identity == bars.identity
    assert manifest.data.bars == 3000
    assert manifest.config == work.desk.resolved()


def test_test_span_predictions_are_finite_differ_and_are_not_zero(work: DeskContext) -> None:
    report = read_report(work)
    for horizon in ("1h", "24h"):
        assert report.predictions[horizon].prediction_sd > 0
        assert report.predictions[horizon].known_targets > 400
    names = {check.name: check.passed for check in report.checks}
    assert names["predictions_are_finite"]
    assert names["predictions_vary_across_states"]
    assert names["backtest_equals_environment"]


def test_training_moved_the_return_heads_and_lowered_their_losses(work: DeskContext) -> None:
    tuned = read_policy(work)
    torch.manual_seed(work.desk.bc.seeds[0])
    untrained = new_model(tuned.spec)
    assert untrained.return_heads is not None
    assert tuned.model.return_heads is not None
    assert not torch.equal(untrained.return_heads.weight, tuned.model.return_heads.weight)
    epochs = work.open_artifact(CLONE).read_json("history.json")
    first, last = (np.array(epochs[i]["train"]["return_losses"]) for i in (0, -1))
    assert (last < first).all()


def test_the_report_and_its_plots_are_on_disk(work: DeskContext) -> None:
    gate = work.open_artifact(GATE)
    for name in ("equity.png", "predictions_1h.png", "predictions_24h.png"):
        assert gate.read(name).startswith(b"\x89PNG")
    text = gate.read("report.md").decode()
    assert "buy and hold" in text
    assert "Skill: not shown" in text


def test_a_prediction_names_its_model_and_all_its_parts(work: DeskContext) -> None:
    answer = predict_latest(work, {"position": 0.0}, stage=None)
    assert answer["version"] == work.models.served("shadow").manifest.version
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0)
    assert answer["action"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert -1 <= answer["predicted_return_1h"] <= 1
    assert answer["predicted_return_24h"] != 0
    assert answer["reasons"] == {}


def test_serving_decides_as_the_environment_does(work: DeskContext) -> None:
    """The last test bar, asked through serving with the account that the environment had there."""
    from rl_core.serving.answer import decide_state
    from rl_core.steps.scoring import evaluate_policy, split_span

    policy, market = served_policy(work), read_market(work)
    span = split_span(read_dataset(work), "test")
    decisions, walk = evaluate_policy(work.kind, market, policy.model, span, memory_bars=None)
    state = np.concatenate([market.features[span[1]], walk.account_features[-1]])
    days = float(np.arctanh(min(float(state[33]), 1 - 1e-7)))
    account = {"position": float(state[30]), "days_since_trade": days}
    asked = work.kind.account_state(market, account)
    np.testing.assert_allclose(asked, state[30:], atol=1e-5)
    answer = decide_state(policy, state)
    assert ("HOLD", "BUY", "SELL")[decisions.action[-1]] == answer["action"]


def test_simple_models_stand_beside_the_policy_and_judge_nothing(work: DeskContext) -> None:
    report = read_report(work)
    beside = ["ridge", "own_forecasts"]  # as the desk of these tests wants
    assert [name for name in report.performance if name in CONTENDERS] == beside
    assert report.skill is not None
    assert not set(CONTENDERS) & set(report.skill.sharpe_intervals)
    text = work.open_artifact(GATE).read("report.md").decode()
    assert "ridge on the features" in text
    best = max(report.performance[name].sharpe or -9.0 for name in beside)
    own = report.performance["policy"].sharpe or 0.0
    assert text.startswith("# Gate: small")
    assert ("A simpler model did better on the test span" in text) == (best > own)


def test_heads_are_sealed_shrunk_and_a_head_is_alive_whatever_its_size(work: DeskContext) -> None:
    facts = work.open_artifact(PPO).facts
    assert set(facts.shrinkage) == set(facts.validation_r2) == set(work.desk.dataset.horizons)
    assert all(0.05 <= share <= 1 for share in facts.shrinkage.values())
    shrinkage = served_policy(work).model.return_shrinkage
    assert shrinkage.tolist() == pytest.approx(list(facts.shrinkage.values()))
    judged = JudgedPolicy.open(work, work.inputs_of(GATE))
    assert judged.predictions is not None
    assert judged.unshrunk_predictions is not None
    np.testing.assert_allclose(
        judged.predictions, judged.unshrunk_predictions * shrinkage.numpy(), rtol=1e-6
    )


def test_a_contender_knows_nothing_of_the_test_span(work: DeskContext) -> None:
    judged = JudgedPolicy.open(work, work.inputs_of(GATE))
    rng = np.random.default_rng(0)
    is_test = judged.dataset["split"] == "test"
    changed_rows = judged.dataset.copy()
    for horizon in judged.policy.spec.horizons:
        changed_rows.loc[is_test, f"return_{horizon}"] = rng.normal(size=int(is_test.sum())).astype(
            np.float32
        )
    other = replace(judged, dataset=changed_rows)
    desk = work.desk.with_settings({"gate.contenders": list(CONTENDERS)})
    both = [
        contenders(replace(each, context=replace(work, desk=desk)), CONTENDERS)
        for each in (judged, other)
    ]
    assert set(both[0]) == set(CONTENDERS)
    for name in CONTENDERS:
        assert both[0][name].rule == both[1][name].rule
        first, second = (each[name].forecast(judged.span) for each in both)
        np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("policy", "ridge", "said"),
    [
        (0.5, 1.25, "A simpler model did better on the test span: ridge on the features, with a "
         "Sharpe ratio of 1.25 beside this policy's 0.50. "),
        (1.5, 1.25, ""),
        (None, 1.25, "A simpler model did better on the test span: ridge on the features, with a "
         "Sharpe ratio of 1.25 beside a policy that did not trade. "),
        (None, -0.1, ""),
    ],
)  # fmt: skip
def test_a_better_contender_is_said_first(
    work: DeskContext, policy: float | None, ridge: float, said: str
) -> None:
    report = read_report(work).model_dump(mode="json")
    report["performance"] = {
        name: {**figures, "sharpe": sharpe}
        for name, sharpe in (("policy", policy), ("teacher", 0.0), ("ridge", ridge))
        for figures in [report["performance"]["policy"]]
    }
    text = verdict(report)
    assert text.startswith(said or report_start(report))


def report_start(report: dict[str, Any]) -> str:
    return "Safe" if report["is_safe"] else "Refused"


def test_the_summary_holds_every_link(work: DeskContext) -> None:
    result = summarise_chain(work)
    assert set(UPSTREAM) <= set(result)
    assert result["model"]["is_of_this_chain"]
    json.dumps(result, allow_nan=False)


def test_the_same_bars_and_settings_give_the_same_policy(work: DeskContext, tmp_path: Path) -> None:
    again = run_chain(work.desk, tmp_path)
    for step in GATE.ancestors:
        assert again.artifacts.current(step.name) == work.artifacts.current(step.name), step.name


def test_without_auxiliary_losses_predictions_are_null_with_a_reason(tmp_path: Path) -> None:
    desk = small_desk(
        bars_file(tmp_path),
        gate={**LENIENT, "require_predictions": False},
    ).with_settings({"ppo.auxiliary_losses": False})
    work = run_chain(desk, tmp_path)
    deploy(work)
    answer = predict_latest(work, {"position": 0.0}, stage="shadow")
    assert answer["predicted_return_1h"] is None
    assert answer["predicted_return_24h"] is None
    assert answer["reasons"] == {
        f"predicted_return_{h}": "the return head of this horizon was not trained"
        for h in ("1h", "24h")
    }


@pytest.fixture
def own(work: DeskContext, tmp_path: Path) -> DeskContext:
    """A copy that a test may break."""
    shutil.copytree(work.root, tmp_path / "root")
    return DeskContext.open(work.desk, tmp_path / "root")


@pytest.mark.parametrize("step", [*GATE.ancestors, GATE], ids=lambda step: step.name)
def test_deployment_is_refused_when_anything_upstream_was_changed(
    own: DeskContext, step: Step[Any]
) -> None:
    path = file_of(own, step, next(iter(own.open_artifact(step).seal.files)))
    path.write_bytes(path.read_bytes() + b" ")
    before = own.models.versions()
    with pytest.raises(TollgateError, match="must be as it was sealed, was changed since"):
        deploy(own)
    assert own.models.versions() == before


def test_deployment_is_refused_when_the_policy_was_trained_again_after_the_gate(
    own: DeskContext,
) -> None:
    build(changed(own, ppo__seed=1), PPO, OPTIONS)
    with pytest.raises(TollgateError, match="must be made from the ppo_policy that is there"):
        deploy(own)


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("costs.commission_rate", 0.0, r"costs\.commission_rate \(0\.001, now 0\.0\)"),
        ("quality.jump_return", 0.001, r"quality\.jump_return"),
        ("account.min_position", -1.0, r"account\.min_position"),
    ],
)
def test_links_of_other_market_settings_are_neither_built_on_nor_deployed(
    own: DeskContext, setting: str, value: float, words: str
) -> None:
    other = edited(own, {setting: value})
    with pytest.raises(TollgateError, match=f"must be built with the desk's settings.*{words}"):
        deploy(other)
    steps: tuple[Step[Any], ...] = (GATE, REGIMES)
    for step in steps:
        with pytest.raises(TollgateError, match=f"must be built with the desk's settings.*{words}"):
            build(other, step)


def test_the_manifest_holds_the_settings_that_were_used(own: DeskContext) -> None:
    build(changed(own, ppo__seed=7), PPO, OPTIONS)
    build(own, GATE)
    manifest = deploy(own).manifest
    assert manifest.config["ppo"]["seed"] == 7
    assert own.desk.ppo.seed == 42


def test_a_bar_that_is_still_open_is_not_decided_on() -> None:
    bars = simulate_bars(5, seed=0)
    last = bars["timestamp"].iloc[-1]
    interval = 3_600_000_000_000
    assert len(closed_bars(bars, interval, last + pd.Timedelta("59min"))) == 4
    assert len(closed_bars(bars, interval, last + pd.Timedelta("60min"))) == 5
    with pytest.raises(TollgateError, match="bars must have closed, was none by 2015-01-01 00:10"):
        closed_bars(bars[:1], interval, pd.Timestamp("2015-01-01 00:10", tz="UTC"))


def test_too_few_bars_for_a_complete_state_are_refused(own: DeskContext, tmp_path: Path) -> None:
    short = tmp_path / "short.parquet"
    simulate_bars(30, seed=0).to_parquet(short, index=False)
    other = edited(own, {"bars.path": str(short)})
    with pytest.raises(TollgateError, match="must outlast the indicators' warm-up, was 30 bars"):
        predict_latest(other, {}, None)


def test_a_model_is_not_asked_about_another_market(own: DeskContext) -> None:
    other = edited(own, {"bars.symbol": "OTHER"})
    with pytest.raises(TollgateError, match="was trained on symbol SIM and the desk now has OTHER"):
        predict_latest(other, {}, None)


def test_sentiment_is_sealed_with_the_bars_and_reaches_the_state(tmp_path: Path) -> None:
    news = tmp_path / "news.csv"
    news.write_text("published,news,macro\n2015-02-01,0.5,-0.25\n")
    desk = small_desk(bars_file(tmp_path), sentiment={"path": str(news), "max_age_hours": 48.0})
    work = DeskContext.open(desk, tmp_path)
    build(work, BARS)
    news.write_text("published,news,macro\n2015-02-01,-1,-1\n")  # revised later
    build(work, HISTORY)
    build(work, OFFLINE_DATASET)
    dataset = read_dataset(work).set_index("timestamp")
    assert dataset["news_sentiment"].loc["2015-01-31 23:00:00+00:00"] == 0.0
    assert dataset["news_sentiment"].loc["2015-02-01 00:00:00+00:00"] == 0.5
    assert dataset["macro_sentiment"].loc["2015-02-02 12:00:00+00:00"] == -0.25
    assert dataset["news_sentiment"].loc["2015-02-04 00:00:00+00:00"] == 0.0
    assert all(check.passed for check in verdicts(work, OFFLINE_DATASET))


def test_news_that_came_after_its_time_is_told(tmp_path: Path) -> None:
    news = tmp_path / "news.csv"
    rows = "published,news,macro\n2015-02-01 00:30,0.5,-0.25\n"
    news.write_text(rows)
    desk = small_desk(bars_file(tmp_path), sentiment={"path": str(news), "max_age_hours": 48.0})
    context = DeskContext.open(desk, tmp_path / "data")

    def check() -> Check:
        build(context, BARS)
        found = {check.name: check for check in verdicts(context, BARS)}
        return found["sentiment_came_in_time"]

    assert check().passed
    news.write_text(f"{rows}2015-02-03 00:30,0.1,0.0\n")  # news of later
    assert check().passed
    news.write_text(f"{rows}2015-02-01 12:00,0.9,0.0\n2015-02-03 00:30,0.1,0.0\n")
    late = check()
    assert not late.passed
    assert not late.is_blocking
    assert "1 rows were added or changed after their time, the first of 2015-02-01" in late.detail


def test_deployment_is_refused_when_the_gate_refused(own: DeskContext) -> None:
    limits = {"gate.max_p99_milliseconds": 1e-6, "gate.severity.inference_is_fast": "block"}
    refused = edited(own, limits)
    build(refused, GATE)
    before = own.models.versions()
    with pytest.raises(TollgateError, match="must pass inference_is_fast, was refused: p99"):
        deploy(refused)
    assert own.models.versions() == before


def test_a_corrupted_dataset_stops_the_next_link(own: DeskContext) -> None:
    path = file_of(own, OFFLINE_DATASET, "dataset.parquet")
    dataset = pd.read_parquet(path)
    dataset["return_1h"] = dataset["return_1h"] + np.float32(0.01)
    dataset.to_parquet(path, index=False)
    with pytest.raises(TollgateError, match=r"changed since \(dataset.parquet\): delete .*again"):
        build(own, REGIMES)


def test_the_check_of_the_served_model_fails_when_its_weights_change(own: DeskContext) -> None:
    assert verdicts(own, DEPLOYED)[0].passed
    weights = own.models.served("shadow").directory / "policy.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    (check,) = verdicts(own, DEPLOYED)
    assert not check.passed
    assert "must be as it was sealed, was changed since (policy.safetensors)" in check.detail
