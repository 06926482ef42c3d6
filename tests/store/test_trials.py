"""The ledger counts every training once, and forgets none."""

import json
from pathlib import Path

import numpy as np
import pytest

from rl_core.base.errors import TollgateError
from rl_core.base.files import json_text, sha256_json
from rl_core.store.trials import Trial, TrialLedger, candidates_of, number_of, variance_of


def trial(policy: str, **changes: object) -> Trial:
    facts: dict[str, object] = {
        "policy": policy * 8, "made_at": "2026-01-05T06:00:00+00:00", "seeds": 1,
        "settings": "s", "dataset": "d", "validation_sharpe": 1.0,
        "candidates": [[0.1, 0.2], [0.3, 0.4]],
    }  # fmt: skip
    return Trial.model_validate({**facts, **changes})


def test_the_same_policy_is_one_trial(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    assert ledger.trials() == []
    assert number_of(ledger.trials()) == 1  # whoever asks has tried
    ledger.record(trial("ab"))
    ledger.record(trial("ab", validation_sharpe=9.0))
    ledger.record(trial("cd", seeds=3))
    assert number_of(ledger.trials()) == 4
    assert ledger.trials()[0].validation_sharpe == 1.0


def test_what_the_gate_found_replaces_what_validation_hoped(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    for name, sharpe in (("ab", 1.0), ("cd", 3.0)):
        ledger.record(trial(name, validation_sharpe=sharpe))
    assert variance_of(ledger.trials()) == pytest.approx(2.0)
    ledger.judged("cd" * 8, 1.0)
    assert variance_of(ledger.trials()) == pytest.approx(2.0)  # test and validation never mix
    ledger.judged("ab" * 8, 1.5)
    assert variance_of(ledger.trials()) == pytest.approx(0.125)
    assert variance_of(ledger.trials()[:1]) is None


def test_candidates_of_one_dataset_stand_beside_each_other() -> None:
    trials = [trial("ab"), trial("cd", candidates=[[0.5, 0.6]]), trial("ef", dataset="other")]
    found = candidates_of(trials, "d")
    assert found is not None
    np.testing.assert_allclose(found, [[0.1, 0.3, 0.5], [0.2, 0.4, 0.6]])
    assert candidates_of(trials, "unknown") is None


def test_a_broken_entry_is_an_error_and_not_one_trial_less(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    ledger.record(trial("ab"))
    next(ledger.directory.glob("0*.json")).write_text("{")
    with pytest.raises(TollgateError, match="must be whole JSON"):
        ledger.trials()


@pytest.mark.parametrize("edit", [("1.0", "2.0"), ('"seeds": 1', '"seeds": 0'), ("0.3", "0.9")])
def test_an_entry_that_was_edited_is_refused(tmp_path: Path, edit: tuple[str, str]) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    ledger.record(trial("ab"))
    path = next(ledger.directory.glob("0*.json"))
    path.write_text(path.read_text().replace(*edit))
    with pytest.raises(TollgateError, match="must be as it was written, was changed since"):
        ledger.trials()


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_an_entry_that_was_taken_away_is_missed_by_name(tmp_path: Path, gone: int) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    for name in ("ab", "cd", "ef"):
        ledger.record(trial(name))
    path = sorted(ledger.directory.glob("0*.json"))[gone]
    path.unlink()
    with pytest.raises(TollgateError, match=f"{path.name} must be as it was written, and was"):
        ledger.trials()
    with pytest.raises(TollgateError, match=path.name):
        ledger.record(trial("01"))  # nor is anything written on top of it


def test_the_head_cannot_be_taken_away_either(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    for name in ("ab", "cd"):
        ledger.record(trial(name))
    sorted(ledger.directory.glob("0*.json"))[-1].unlink()
    (ledger.directory / "head.json").unlink()
    with pytest.raises(TollgateError, match=r"head\.json must be as it was written"):
        ledger.trials()


def test_an_entry_cannot_be_put_in_anothers_place(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    for name in ("ab", "cd", "ef"):
        ledger.record(trial(name))
    first, second, _ = sorted(ledger.directory.glob("0*.json"))
    second.write_bytes(first.read_bytes())
    with pytest.raises(TollgateError, match="was changed or taken away"):
        ledger.trials()


def test_an_entry_that_a_crash_left_before_its_head_counts(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    ledger.record(trial("ab"))
    head = (ledger.directory / "head.json").read_bytes()
    ledger.record(trial("cd"))
    (ledger.directory / "head.json").write_bytes(head)
    assert number_of(ledger.trials()) == 2
    ledger.record(trial("ef"))
    assert [t.policy[:2] for t in ledger.trials()] == ["ab", "cd", "ef"]


def test_trials_of_an_earlier_version_are_counted_and_carried_over(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    ledger.directory.mkdir(parents=True)
    for day, name in ((2, "ab"), (1, "cd")):
        entry = trial(name, made_at=f"2026-01-0{day}").model_dump(mode="json")
        text = json_text({"sha256": sha256_json(entry), "trial": entry})
        (ledger.directory / f"{name * 8}.json").write_text(text)
    assert [t.policy[:2] for t in ledger.trials()] == ["cd", "ab"]
    ledger.record(trial("ef"))
    assert [t.policy[:2] for t in ledger.trials()] == ["cd", "ab", "ef"]
    assert json.loads((ledger.directory / "head.json").read_text())["entries"] == 3
