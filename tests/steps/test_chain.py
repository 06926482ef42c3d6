"""The whole chain of a small desk, link by link, and what must stop it."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from rl_core.base.errors import TollgateError
from rl_core.desk import DeskConfig
from rl_core.lab.markets.spot import simulate_bars
from rl_core.learning.models.policy_file import load_policy, new_model
from rl_core.serving.loaded import closed_bars, predict_latest
from rl_core.steps import deployed_model, offline_dataset
from rl_core.steps.backtest_history import build_backtest_history
from rl_core.steps.bars import build_bars
from rl_core.steps.context import Workplace
from rl_core.steps.deployed_model.step import deploy
from rl_core.steps.offline_dataset import build_offline_dataset
from rl_core.steps.ppo_policy.checkpoints import TrainingOptions
from rl_core.steps.ppo_policy.step import build_ppo_policy
from rl_core.steps.prediction_validation.step import build_prediction_validation, read_report
from rl_core.steps.regime_dataset import build_regime_dataset
from rl_core.steps.summary import summarise_chain
from rl_core.steps.whole import judge_from_bars
from tests.conftest import LENIENT, small_desk

CPU = torch.device("cpu")
UPSTREAM = (
    "bars",
    "backtest_history",
    "offline_dataset",
    "regime_dataset",
    "bc_policy",
    "ppo_policy",
)


def run_chain(desk: DeskConfig, root: Path) -> Workplace:
    work = Workplace.open(desk, root)
    return judge_from_bars(work, CPU, lambda _: None)


def bars_file(folder: Path) -> Path:
    path = folder / "bars.parquet"
    simulate_bars(3000, seed=7, signal_r2=0.05).to_parquet(path, index=False)
    return path


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    folder = tmp_path_factory.mktemp("chain")
    work = run_chain(small_desk(bars_file(folder)), folder)
    deploy(work)
    return work


def test_the_served_model_traces_back_to_its_bars(work: Workplace) -> None:
    manifest = work.store.served("shadow").manifest
    assert set(manifest.lineage) == {*UPSTREAM, "prediction_validation"}
    assert manifest.lineage["bars"].content == work.lake.load("bars").content
    assert manifest.lineage["bars"].identity == work.lake.load("bars").identity
    assert manifest.data.bars == 3000
    assert manifest.config == work.desk.resolved()


def test_test_span_predictions_are_finite_differ_and_are_not_zero(work: Workplace) -> None:
    report = read_report(work)
    for horizon in ("1h", "24h"):
        assert report.predictions[horizon].prediction_sd > 0
        assert report.predictions[horizon].known_targets > 400
    names = {check.name: check.passed for check in report.checks}
    assert names["predictions_are_finite"]
    assert names["predictions_vary_across_states"]
    assert names["backtest_equals_environment"]


def test_training_moved_the_return_heads_and_lowered_their_losses(work: Workplace) -> None:
    tuned = load_policy(work.lake.directory / "ppo_policy")
    torch.manual_seed(work.desk.bc.seeds[0])
    untrained = new_model(tuned.spec)
    assert untrained.return_heads is not None
    assert tuned.model.return_heads is not None
    assert not torch.equal(untrained.return_heads.weight, tuned.model.return_heads.weight)
    epochs = json.loads(work.lake.path("bc_policy", "history.json").read_text())
    first, last = (np.array(epochs[i]["train"]["return_losses"]) for i in (0, -1))
    assert (last < first).all()


def test_the_report_and_its_plots_are_on_disk(work: Workplace) -> None:
    folder = work.lake.directory / "prediction_validation"
    for name in ("equity.png", "predictions_1h.png", "predictions_24h.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG")
    text = (folder / "report.md").read_text()
    assert "buy and hold" in text
    assert "Skill: not shown" in text


def test_a_prediction_names_its_model_and_all_its_parts(work: Workplace) -> None:
    answer = predict_latest(work, {"position": 0.0}, stage=None)
    assert answer["version"] == work.store.served("shadow").manifest.version
    assert sum(answer["probabilities"].values()) == pytest.approx(1.0)
    assert answer["action"] == max(answer["probabilities"], key=answer["probabilities"].get)
    assert -1 <= answer["predicted_return_1h"] <= 1
    assert answer["predicted_return_24h"] != 0
    assert answer["reasons"] == {}


def test_serving_decides_as_the_environment_does(work: Workplace) -> None:
    """The last test bar, asked through serving with the account that the environment had there."""
    from rl_core.serving.answer import decide_state
    from rl_core.steps.scoring import evaluate_policy, split_span

    policy = load_policy(work.store.served("shadow").directory)
    market = work.read_market(policy.spec.thresholds)
    dataset = work.read_dataset("offline_dataset")
    decisions, _ = evaluate_policy(work.kind, market, policy.model, split_span(dataset, "test"))
    state = decisions.states[-1]
    days = float(np.arctanh(min(float(state[33]), 1 - 1e-7)))
    account = {"position": float(state[30]), "days_since_trade": days}
    asked = work.kind.account_state(market, account)
    np.testing.assert_allclose(asked, state[30:], atol=1e-5)
    answer = decide_state(policy, state)
    assert ("HOLD", "BUY", "SELL")[decisions.action[-1]] == answer["action"]


def test_the_summary_holds_every_link(work: Workplace) -> None:
    result = summarise_chain(work)
    assert set(UPSTREAM) <= set(result)
    assert result["model"]["is_of_this_chain"]
    json.dumps(result, allow_nan=False)


def test_the_same_bars_and_settings_give_the_same_policy(work: Workplace, tmp_path: Path) -> None:
    again = run_chain(work.desk, tmp_path)
    for name in UPSTREAM:
        assert again.lake.load(name).content == work.lake.load(name).content, name


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
def own(work: Workplace, tmp_path: Path) -> Workplace:
    """A copy that a test may break."""
    import shutil

    root = work.lake.directory.parent.parent
    shutil.copytree(root, tmp_path / "root")
    return Workplace.open(work.desk, tmp_path / "root")


@pytest.mark.parametrize("name", [*UPSTREAM, "prediction_validation"])
def test_deployment_is_refused_when_anything_upstream_was_changed(
    own: Workplace, name: str
) -> None:
    file = next(iter(own.lake.seal(name).files))
    path = own.lake.path(name, file)
    path.write_bytes(path.read_bytes() + b" ")
    before = own.store.versions()
    with pytest.raises(TollgateError, match="must be as it was sealed, was changed since"):
        deploy(own)
    assert own.store.versions() == before


def test_deployment_is_refused_when_the_policy_was_trained_again_after_the_gate(
    own: Workplace,
) -> None:
    desk = own.desk.with_settings({"ppo.seed": 1})
    build_ppo_policy(
        Workplace.open(desk, own.lake.directory.parent.parent), TrainingOptions(CPU), lambda _: None
    )
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
    own: Workplace, setting: str, value: float, words: str
) -> None:
    other = Workplace.open(
        own.desk.with_settings({setting: value}), own.lake.directory.parent.parent
    )
    for step in (deploy, build_prediction_validation, build_regime_dataset):
        with pytest.raises(TollgateError, match=f"must be built with the desk's settings.*{words}"):
            step(other)


def test_the_manifest_holds_the_settings_that_were_used(own: Workplace) -> None:
    root = own.lake.directory.parent.parent
    build_ppo_policy(
        Workplace.open(own.desk.with_settings({"ppo.seed": 7}), root),
        TrainingOptions(CPU),
        lambda _: None,
    )
    build_prediction_validation(own)
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


def test_too_few_bars_for_a_complete_state_are_refused(own: Workplace, tmp_path: Path) -> None:
    short = tmp_path / "short.parquet"
    simulate_bars(30, seed=0).to_parquet(short, index=False)
    other = own.desk.with_settings({"bars.path": str(short)})
    with pytest.raises(TollgateError, match="must outlast the indicators' warm-up, was 30 bars"):
        predict_latest(Workplace.open(other, own.lake.directory.parent.parent), {}, None)


def test_a_model_is_not_asked_about_another_market(own: Workplace) -> None:
    other = own.desk.with_settings({"bars.symbol": "OTHER"})
    with pytest.raises(TollgateError, match="was trained on symbol SIM and the desk now has OTHER"):
        predict_latest(Workplace.open(other, own.lake.directory.parent.parent), {}, None)


def test_sentiment_is_sealed_with_the_bars_and_reaches_the_state(tmp_path: Path) -> None:
    news = tmp_path / "news.csv"
    news.write_text("published,news,macro\n2015-02-01,0.5,-0.25\n")
    desk = small_desk(bars_file(tmp_path), sentiment={"path": str(news), "max_age_hours": 48.0})
    work = Workplace.open(desk, tmp_path)
    build_bars(work)
    news.write_text("published,news,macro\n2015-02-01,-1,-1\n")  # revised later
    build_backtest_history(work)
    build_offline_dataset(work)
    dataset = work.read_dataset("offline_dataset").set_index("timestamp")
    assert dataset["news_sentiment"].loc["2015-01-31 23:00:00+00:00"] == 0.0
    assert dataset["news_sentiment"].loc["2015-02-01 00:00:00+00:00"] == 0.5
    assert dataset["macro_sentiment"].loc["2015-02-02 12:00:00+00:00"] == -0.25
    assert dataset["news_sentiment"].loc["2015-02-04 00:00:00+00:00"] == 0.0
    assert all(check.passed for check in offline_dataset.run_checks(work))


def test_deployment_is_refused_when_the_gate_refused(own: Workplace) -> None:
    strict = own.desk.with_settings({"gate.max_p99_milliseconds": 1e-6})
    refused = Workplace.open(strict, own.lake.directory.parent.parent)
    build_prediction_validation(refused)
    before = own.store.versions()
    with pytest.raises(TollgateError, match="was refused by inference_is_fast"):
        deploy(refused)
    assert own.store.versions() == before


def test_a_corrupted_dataset_stops_the_next_link(own: Workplace) -> None:
    path = own.lake.path("offline_dataset", "dataset.parquet")
    dataset = pd.read_parquet(path)
    dataset["return_1h"] = dataset["return_1h"] + np.float32(0.01)
    dataset.to_parquet(path, index=False)
    with pytest.raises(TollgateError, match="offline_dataset and build it again"):
        build_regime_dataset(own)


def test_the_check_of_the_served_model_fails_when_its_weights_change(own: Workplace) -> None:
    assert deployed_model.run_checks(own)[0].passed
    weights = own.store.served("shadow").directory / "policy.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"?")
    (check,) = deployed_model.run_checks(own)
    assert not check.passed
    assert "must have the SHA-256" in check.detail
