"""A planted signal ends as champion; what follows from that, and what a person may do instead."""

import json
import shutil
from pathlib import Path

import pytest
import torch

from rl_core.base.errors import TollgateError
from rl_core.base.files import sha256_file
from rl_core.lab.trials.gate_trial import judge_market, level, trial_desk
from rl_core.learning.models.policy_file import load_policy, save_policy
from rl_core.serving.loaded import predict_latest
from rl_core.steps import prediction_validation
from rl_core.steps.context import Workplace
from rl_core.steps.deployed_model.step import deploy
from rl_core.steps.ppo_policy.checkpoints import TrainingOptions
from rl_core.steps.ppo_policy.step import build_ppo_policy
from rl_core.steps.prediction_validation.step import build_prediction_validation, read_report
from rl_core.steps.whole import judge_from_bars
from rl_core.store.promotion import promote, roll_back

CPU = torch.device("cpu")
REASON = "paper trading since May, approved by risk"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Workplace:
    """A reversal of 5% of the variance, trained, judged and deployed."""
    folder = tmp_path_factory.mktemp("planted")
    work = Workplace.open(trial_desk(1, 0.05), folder)
    judge_from_bars(work, CPU, lambda _: None)
    deploy(work)
    return work


@pytest.fixture
def own(planted: Workplace, tmp_path: Path) -> Workplace:
    """A copy that a test may change."""
    shutil.copytree(planted.lake.directory.parents[1], tmp_path / "root")
    return Workplace.open(planted.desk, tmp_path / "root")


def other_champion(own: Workplace, **config: object) -> str:
    """A champion that decides nearly alike, with other settings; its version."""
    version = own.store.served("champion")
    folder = own.store.directory.parent / "elsewhere"
    folder.mkdir()
    policy = load_policy(version.directory)
    with torch.no_grad():
        last = list(policy.model.value_head.parameters())[-1]
        last.add_(1.0)  # decides as before, but is another file
    save_policy(folder, policy)
    manifest = version.manifest.model_copy(
        update={
            "version": "20200101T000000000000Z-other",
            "config": {**version.manifest.config, **config},
        }
    )
    files = {name: sha256_file(folder / name) for name in ("policy.safetensors", "policy.json")}
    own.store.publish(folder, files, manifest, {"model_card.md": "# card"})
    own.store.point("champion", manifest.version)
    return manifest.version


def unskilled(own: Workplace) -> str:
    """The same policy, deployed by a gate that asks too much of it; its version."""
    desk = own.desk.with_settings({"gate.skill.min_test_bars": 100_000})
    strict = Workplace(desk, own.lake, own.store)
    build_prediction_validation(strict)
    return deploy(strict).manifest.version


def test_a_planted_signal_ends_as_champion(planted: Workplace) -> None:
    report = read_report(planted)
    assert report.is_safe, [c.detail for c in report.checks if not c.passed]
    assert report.is_skilled, [c.detail for c in report.all_checks if not c.passed]
    pointers = planted.store.pointers()
    assert pointers["champion"] == pointers["shadow"]
    assert planted.store.served("champion").manifest.stage == "champion"
    assert predict_latest(planted, {}, None)["stage"] == "champion"


def test_the_ledger_counts_the_training_and_the_gate_says_so(planted: Workplace) -> None:
    trials = planted.trials.trials()
    assert len(trials) == 1
    assert trials[0].policy == planted.lake.load("ppo_policy").files["policy.safetensors"]
    assert trials[0].test_sharpe == read_report(planted).performance["policy"].sharpe
    assert len(trials[0].candidates) == 4  # the clone and iterations 8, 16 and 24
    skill = read_report(planted).skill
    assert skill is not None
    assert skill.trials == 1


def test_a_prediction_carries_an_interval_of_ninety_percent(planted: Workplace) -> None:
    answer = predict_latest(planted, {}, None)
    for horizon in ("1h", "24h"):
        low, high = answer[f"predicted_return_{horizon}_interval"]
        middle = answer[f"predicted_return_{horizon}"]
        assert low < middle < high
        assert middle - low == pytest.approx(high - middle)
    # 1.645 sd of 1% to each side, and some for 24 bars' estimate of it
    low, high = answer["predicted_return_1h_interval"]
    assert 0.01 < (high - low) / 2 < 0.03
    intervals = read_report(planted).intervals
    assert 0.86 <= (intervals["1h"].test_coverage or 0) <= 0.94


def test_the_model_card_is_whole_and_fetches_nothing(planted: Workplace) -> None:
    version = planted.store.served("champion")
    page = (version.directory / "model_card.html").read_text()
    assert "<table>" in page
    assert page.count('src="data:image/png;base64,') == 5
    assert 'src="http' not in page
    assert '.png"' not in page
    card = (version.directory / "model_card.md").read_text()
    report = read_report(planted)
    for check in report.all_checks:
        assert check.name in card
        assert check.name in page
    for words in (
        version.manifest.data.content, "Limits of use", "By kind of market", "Made from",
        report.policy, "Safe and skilled",
    ):  # fmt: skip
        assert words in card
    assert set(version.manifest.files) >= {
        "model_card.html", "gate_report.json", "equity.png", "actions.png", "regimes.png",
        "predictions_1h.png", "predictions_24h.png",
    }  # fmt: skip


def test_training_again_to_the_same_weights_holds_against_the_champion(own: Workplace) -> None:
    build_prediction_validation(own)
    report = read_report(own)
    assert report.champion is not None
    assert report.champion.is_same_policy
    assert report.is_skilled
    assert "The same weights" in own.lake.path("prediction_validation", "report.md").read_text()


def test_a_champion_is_not_replaced_by_what_it_was_not_compared_with(own: Workplace) -> None:
    """The report is from before a person made another version champion."""
    first = own.store.pointers()["champion"]
    other = unskilled(own)
    build_prediction_validation(own)
    assert read_report(own).is_skilled
    promote(own.store, other, REASON)
    with pytest.raises(TollgateError, match="must be judged against the one that is there"):
        deploy(own)
    assert own.store.pointers()["champion"] == other
    build_prediction_validation(own)
    deploy(own)
    assert own.store.pointers()["champion"] not in (first, other)


def test_trials_that_were_deleted_are_missed(own: Workplace) -> None:
    for name in ("aa", "bb"):
        known = own.trials.trials()[0]
        own.trials.record(known.model_copy(update={"policy": name * 8}))
    build_prediction_validation(own)
    deploy(own)
    shutil.rmtree(own.trials.directory)
    with pytest.raises(TollgateError, match=r"must hold the 3 trials .* was 1: bring back"):
        build_prediction_validation(own)


def test_a_lost_ledger_is_written_again_from_the_sealed_training(own: Workplace) -> None:
    before = own.trials.trials()
    shutil.rmtree(own.trials.directory)
    build_prediction_validation(own)
    assert own.trials.trials() == before


def test_seeds_that_were_cloned_count_as_trials(own: Workplace) -> None:
    seal = own.lake.seal("bc_policy")
    path = own.lake.path("bc_policy", "artifact.json")
    several = {**seal.config, "bc": {**seal.config["bc"], "seeds": [1, 2, 3, 4]}}
    path.write_text(seal.model_copy(update={"config": several}).model_dump_json())
    build_ppo_policy(own, TrainingOptions(CPU), lambda _: None)
    assert [trial.seeds for trial in own.trials.trials()] == [4]  # the same weights, of four tries
    other = own.desk.with_settings({"ppo.seed": 7})
    build_ppo_policy(Workplace(other, own.lake, own.store), TrainingOptions(CPU), lambda _: None)
    assert sum(trial.seeds for trial in own.trials.trials()) == 8


def test_a_link_that_was_built_again_since_breaks_the_lineage(own: Workplace) -> None:
    seal = own.lake.seal("bc_policy")
    path = own.lake.path("bc_policy", "artifact.json")
    path.write_text(seal.model_copy(update={"metadata": {}}).model_dump_json())
    build_prediction_validation(own)
    report = read_report(own)
    failed = {check.name: check.detail for check in report.checks if not check.passed}
    assert set(failed) == {"lineage_is_complete"}
    assert "must be made from the bc_policy that is there" in failed["lineage_is_complete"]
    with pytest.raises(TollgateError, match="must be made from the bc_policy that is there"):
        deploy(own)


def test_a_champion_of_another_world_is_not_beaten_in_this_one(own: Workplace) -> None:
    """Its own settings differ in what it sees, so a comparison would mean nothing."""
    quality = own.desk.resolved()["quality"]
    other_champion(own, quality={**quality, "jump_return": 0.5})
    build_prediction_validation(own)
    report = read_report(own)
    checks = {check.name: check for check in report.all_checks}
    assert not checks["holds_against_the_champion"].passed
    assert "quality.jump_return (0.5, now" in checks["holds_against_the_champion"].detail
    assert not report.is_skilled


def test_a_retrain_shows_what_changed_against_the_champion(own: Workplace) -> None:
    other_champion(own, costs={"commission_rate": 0.5})
    build_prediction_validation(own)
    report = read_report(own)
    assert report.champion is not None
    assert report.champion.agreement == 1.0  # the same weights under another name
    assert any("costs" in each for each in report.champion.settings)
    assert report.performance["champion"] == report.performance["policy"]
    assert report.is_skilled  # it is no worse


def test_not_enough_evidence_is_served_as_shadow_and_moves_no_champion(own: Workplace) -> None:
    before = own.store.pointers()["champion"]
    version = unskilled(own)
    report = read_report(own)
    assert report.skill is not None
    assert report.skill.verdict == "not enough evidence"
    assert not report.is_skilled
    assert own.store.pointers() == {"champion": before, "shadow": version}
    checks = {check.name: check for check in prediction_validation.run_checks(own)}
    assert not checks["beats_the_teacher"].passed
    assert not checks["beats_the_teacher"].is_blocking


def test_a_promotion_stays_in_the_manifest_for_good(own: Workplace) -> None:
    version = unskilled(own)
    promotion = promote(own.store, version, f"  {REASON} ")
    assert own.store.pointers()["champion"] == version
    manifest = own.store.version(version).manifest
    assert manifest.promotions == [promotion]
    assert promotion.reason == REASON
    assert "beats_the_teacher" in promotion.unmet
    assert promotion.by
    promote(own.store, version, "and a second time, for the record")
    assert own.store.version(version).manifest.promotions[0].reason == REASON
    path = own.store.directory / version / "manifest.json"
    path.write_text(path.read_text().replace("approved by risk", "approved by nobody"))
    with pytest.raises(TollgateError, match="must be as it was deployed, was changed since"):
        own.store.version(version)


def test_a_crash_in_the_middle_of_a_promotion_loses_nothing(
    own: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    from rl_core.registry import store

    version = unskilled(own)
    writes = store.write_json_atomically
    for survivors in range(4):
        done: list[Path] = []

        def crash(path: Path, value: object, *, limit: int = survivors, seen: list[Path] = done):  # noqa: ANN202
            if len(seen) == limit:
                raise KeyboardInterrupt
            seen.append(path)
            writes(path, value)

        monkeypatch.setattr(store, "write_json_atomically", crash)
        with pytest.raises(KeyboardInterrupt):
            promote(own.store, version, f"{REASON} {survivors}")
        monkeypatch.setattr(store, "write_json_atomically", writes)
        own.store.version(version)  # can be read whenever it stopped
    promote(own.store, version, "after the crashes")
    manifest = own.store.version(version).manifest
    assert manifest.promotions[-1].reason == "after the crashes"
    assert json.loads((own.store.directory / "versions.json").read_text()).keys() == set(
        own.store.versions()
    )


def test_a_reason_must_say_something_and_a_champion_have_been_one(own: Workplace) -> None:
    first = own.store.pointers()["champion"]
    version = unskilled(own)
    with pytest.raises(TollgateError, match="must say why in at least 10 characters, was 'ok'"):
        promote(own.store, version, " ok ")
    with pytest.raises(TollgateError, match="a champion must have been one before"):
        roll_back(own.store, version, "champion")
    promote(own.store, version, REASON)
    roll_back(own.store, first, "champion")
    assert own.store.pointers()["champion"] == first
    with pytest.raises(TollgateError, match="--stage must be one of shadow, champion, was best"):
        roll_back(own.store, first, "best")


def test_in_a_market_of_noise_nothing_becomes_champion() -> None:
    outcome = judge_market(seed=0, signal_r2=0.0)
    assert not outcome.is_champion
    assert outcome.leaks == 0
    assert outcome.failed
    counted = level([outcome, outcome.model_copy(update={"is_champion": True})], 0.0)
    assert counted.champion.hits == 1
    assert counted.champion.rounds == 2
    assert (counted.champion.low, counted.champion.high) == pytest.approx(
        (0.0126, 0.9874), abs=1e-3
    )
