"""A planted signal ends as champion; what follows from that, and what a person may do instead."""

import shutil
from pathlib import Path

import pytest
import torch

from rl_core.base.errors import TollgateError
from rl_core.lab.trials.gate_trial import judge_market, level, trial_desk
from rl_core.learning.models.policy_file import load_policy, save_policy
from rl_core.steps.bc_policy.step import CLONE
from rl_core.steps.context import DeskContext
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction import predict_latest
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.runner import build, verdicts
from rl_core.store.promotion import promote, roll_back
from tests.chain import OPTIONS, changed, deploy, edited, read_report, run_chain

REASON = "paper trading since May, approved by risk"


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> DeskContext:
    """A reversal of 5% of the variance, trained, judged and deployed."""
    folder = tmp_path_factory.mktemp("planted")
    context = run_chain(trial_desk(1, 0.05), folder)
    deploy(context)
    return context


@pytest.fixture
def own(planted: DeskContext, tmp_path: Path) -> DeskContext:
    """A copy that a test may change."""
    shutil.copytree(planted.root, tmp_path / "root")
    return DeskContext.open(planted.desk, tmp_path / "root")


def other_champion(own: DeskContext, **config: object) -> str:
    """A champion that decides nearly alike, with other settings; its version."""
    version = own.models.served("champion")
    folder = own.root / "elsewhere"
    folder.mkdir()
    policy = load_policy(version.folder, own.kind.state.names)
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
    files = {name: (folder / name).read_bytes() for name in ("policy.safetensors", "policy.json")}
    own.models.publish(files, manifest)
    own.models.point("champion", manifest.version)
    return manifest.version


def unskilled(own: DeskContext) -> str:
    """The same policy, deployed by a gate that asks too much of it; its version."""
    strict = edited(own, {"gate.skill.min_test_bars": 100_000})
    build(strict, GATE)
    return deploy(strict).manifest.version


def test_a_planted_signal_ends_as_champion(planted: DeskContext) -> None:
    report = read_report(planted)
    assert report.is_safe, [c.detail for c in report.checks if not c.passed]
    assert report.is_skilled, [c.detail for c in report.all_checks if not c.passed]
    pointers = planted.models.pointers()
    assert pointers["champion"] == pointers["shadow"]
    assert planted.models.served("champion").manifest.stage == "champion"
    assert predict_latest(planted, {}, None)["stage"] == "champion"


def test_the_ledger_counts_the_training_and_the_gate_says_so(planted: DeskContext) -> None:
    trials = planted.trials.trials()
    assert len(trials) == 1
    assert trials[0].policy == planted.open_artifact(PPO).seal.files["policy.safetensors"]
    assert trials[0].test_sharpe == read_report(planted).performance["policy"].sharpe
    assert len(trials[0].candidates) == 4  # the clone and iterations 8, 16 and 24
    skill = read_report(planted).skill
    assert skill is not None
    assert skill.trials == 1


def test_a_prediction_carries_an_interval_of_ninety_percent(planted: DeskContext) -> None:
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


def test_the_model_card_is_whole_and_fetches_nothing(planted: DeskContext) -> None:
    version = planted.models.served("champion")
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


def test_training_again_to_the_same_weights_holds_against_the_champion(own: DeskContext) -> None:
    build(own, GATE)
    report = read_report(own)
    assert report.champion is not None
    assert report.champion.is_same_policy
    assert report.is_skilled
    assert "The same weights" in own.open_artifact(GATE).read("report.md").decode()


def test_a_champion_is_not_replaced_by_what_it_was_not_compared_with(own: DeskContext) -> None:
    """The report is from before a person made another version champion."""
    first = own.models.pointers()["champion"]
    other = unskilled(own)
    build(own, GATE)
    assert read_report(own).is_skilled
    promote(own.models, other, REASON)
    with pytest.raises(TollgateError, match="must be judged against the one that is there"):
        deploy(own)
    assert own.models.pointers()["champion"] == other
    build(own, GATE)
    deploy(own)
    assert own.models.pointers()["champion"] not in (first, other)


def test_trials_that_were_deleted_are_missed(own: DeskContext) -> None:
    for name in ("aa", "bb"):
        known = own.trials.trials()[0]
        own.trials.record(known.model_copy(update={"policy": name * 8}))
    build(own, GATE)
    deploy(own)
    shutil.rmtree(own.trials.directory)
    with pytest.raises(TollgateError, match=r"must hold the 3 trials .* was 1: bring back"):
        build(own, GATE)


def test_a_lost_ledger_is_written_again_from_the_sealed_training(own: DeskContext) -> None:
    before = own.trials.trials()
    shutil.rmtree(own.trials.directory)
    build(own, GATE)
    assert own.trials.trials() == before


def test_seeds_that_were_cloned_count_as_trials(own: DeskContext) -> None:
    several = changed(own, bc__seeds=[42, 1, 2, 3])
    build(several, CLONE, OPTIONS)
    build(own, PPO, OPTIONS)
    assert [trial.seeds for trial in own.trials.trials()] == [4]  # the same weights, of four tries
    build(changed(own, ppo__seed=7), PPO, OPTIONS)
    assert sum(trial.seeds for trial in own.trials.trials()) == 8


def test_a_training_that_was_stopped_before_it_was_counted_is_counted_by_the_gate(
    own: DeskContext,
) -> None:
    """The artefact of a killed training lies there sealed, and the ledger knows nothing of it."""
    build(changed(own, ppo__seed=7), PPO, OPTIONS)
    before = own.trials.trials()
    assert len(before) == 2
    shutil.rmtree(own.trials.directory)
    build(own, PPO, OPTIONS)
    assert {trial.policy for trial in own.trials.trials()} == {trial.policy for trial in before}


def test_a_step_that_was_built_again_since_stops_what_stands_on_it(own: DeskContext) -> None:
    build(changed(own, bc__seeds=[7]), CLONE, OPTIONS)
    for refused in (lambda: build(own, GATE), lambda: deploy(own)):
        with pytest.raises(
            TollgateError, match=r"ppo_policy .* must be made from the bc_policy that is there"
        ):
            refused()


def test_a_champion_of_another_world_is_not_beaten_in_this_one(own: DeskContext) -> None:
    """Its own settings differ in what it sees, so a comparison would mean nothing."""
    quality = own.desk.resolved()["quality"]
    other_champion(own, quality={**quality, "jump_return": 0.5})
    build(own, GATE)
    report = read_report(own)
    checks = {check.name: check for check in report.all_checks}
    assert not checks["holds_against_the_champion"].passed
    assert "quality.jump_return (0.5, now" in checks["holds_against_the_champion"].detail
    assert not report.is_skilled


def test_a_retrain_shows_what_changed_against_the_champion(own: DeskContext) -> None:
    other_champion(own, costs={"commission_rate": 0.5})
    build(own, GATE)
    report = read_report(own)
    assert report.champion is not None
    assert report.champion.agreement == 1.0  # the same weights under another name
    assert any("costs" in each for each in report.champion.settings)
    assert report.performance["champion"] == report.performance["policy"]
    assert report.is_skilled  # it is no worse


def test_not_enough_evidence_is_served_as_shadow_and_moves_no_champion(own: DeskContext) -> None:
    before = own.models.pointers()["champion"]
    version = unskilled(own)
    report = read_report(own)
    assert report.skill is not None
    assert report.skill.verdict == "not enough evidence"
    assert not report.is_skilled
    assert own.models.pointers() == {"champion": before, "shadow": version}
    checks = {check.name: check for check in verdicts(own, GATE)}
    assert not checks["beats_the_teacher"].passed
    assert not checks["beats_the_teacher"].is_blocking


def test_a_promotion_stays_in_the_manifest_for_good(own: DeskContext) -> None:
    version = unskilled(own)
    promotion = promote(own.models, version, f"  {REASON} ")
    assert own.models.pointers()["champion"] == version
    manifest = own.models.version(version).manifest
    assert manifest.promotions == [promotion]
    assert promotion.reason == REASON
    assert "beats_the_teacher" in promotion.unmet
    assert promotion.by
    promote(own.models, version, "and a second time, for the record")
    assert own.models.version(version).manifest.promotions[0].reason == REASON
    path = own.models.directory / version / "promotion_1.json"
    path.write_text(path.read_text().replace("approved by risk", "approved by nobody"))
    with pytest.raises(TollgateError, match="must be as it was written, was changed since"):
        own.models.version(version)


def test_a_promotion_that_is_asked_again_after_a_crash_is_written_once(
    own: DeskContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = unskilled(own)

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(type(own.models), "point", crash)
        with pytest.raises(KeyboardInterrupt):
            promote(own.models, version, REASON)
    promote(own.models, version, REASON)
    assert [p.reason for p in own.models.version(version).manifest.promotions] == [REASON]
    assert own.models.pointers()["champion"] == version


def test_a_reason_must_say_something_and_a_champion_have_been_one(own: DeskContext) -> None:
    first = own.models.pointers()["champion"]
    version = unskilled(own)
    with pytest.raises(TollgateError, match="must say why in at least 10 characters, was 'ok'"):
        promote(own.models, version, " ok ")
    with pytest.raises(TollgateError, match="a champion must have been one before"):
        roll_back(own.models, version, "champion")
    promote(own.models, version, REASON)
    roll_back(own.models, first, "champion")
    assert own.models.pointers()["champion"] == first
    with pytest.raises(TollgateError, match="--stage must be one of shadow, champion, was best"):
        roll_back(own.models, first, "best")


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
