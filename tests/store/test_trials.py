"""The ledger counts every training once, and forgets none."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rl_core.base.errors import TollgateError
from rl_core.base.files import json_text, sha256_json
from rl_core.store import trials as trials_module
from rl_core.store.documents import read_document, write_document
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


@pytest.mark.parametrize("moment", range(1, 5))
def test_a_ledger_that_grows_while_it_is_read_accuses_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: int
) -> None:
    """Another process may add an entry before any of the reader's own looks at the folder."""
    ledger = TrialLedger(tmp_path, "desk")
    ledger.record(trial("ab"))
    looks, plain_exists, plain_iterdir = 0, Path.exists, Path.iterdir

    def let_another_in() -> None:
        nonlocal looks
        looks += 1
        if looks == moment:
            with monkeypatch.context() as other:
                other.setattr(Path, "exists", plain_exists)
                other.setattr(Path, "iterdir", plain_iterdir)
                TrialLedger(tmp_path, "desk").record(trial("cd"))

    def exists(self: Path, **how: Any) -> bool:
        let_another_in()
        return plain_exists(self, **how)

    def iterdir(self: Path) -> Any:
        let_another_in()
        return plain_iterdir(self)

    monkeypatch.setattr(Path, "exists", exists)
    monkeypatch.setattr(Path, "iterdir", iterdir)
    assert ledger.trials()[0].policy == "ab" * 8
    assert number_of(ledger.trials()) == 2
    assert looks >= moment


def test_an_entry_that_a_crash_left_beyond_the_head_is_missed_once_another_was_written(
    tmp_path: Path,
) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    ledger.record(trial("ab"))
    before = (ledger.directory / "head.json").read_bytes()
    ledger.record(trial("cd"))
    (ledger.directory / "head.json").write_bytes(before)  # killed before the head moved
    assert number_of(ledger.trials()) == 2
    ledger.record(trial("ab"))  # known: nothing is added, and the head is put right
    last = next(ledger.directory.glob("000002-*.json"))
    last.unlink()
    with pytest.raises(TollgateError, match=f"{last.name} must be as it was written"):
        ledger.trials()


def earlier_ledger(root: Path) -> TrialLedger:
    """A ledger with one trial, as Tollgate wrote it before entries were numbered."""
    ledger = TrialLedger(root, "desk")
    ledger.directory.mkdir(parents=True)
    entry = trial("ab").model_dump(mode="json")
    text = json_text({"sha256": sha256_json(entry), "trial": entry})
    (ledger.directory / f"{'ab' * 8}.json").write_text(text)
    return ledger


def head_of(ledger: TrialLedger) -> dict[str, Any]:
    return json.loads((ledger.directory / "head.json").read_text())


def test_trials_of_the_earlier_layout_are_taken_over_once(tmp_path: Path) -> None:
    ledger = earlier_ledger(tmp_path)
    ledger.record(trial("ef"))
    ledger.judged("ab" * 8, 1.5)
    ledger.record(trial("01"))
    assert ledger.trials()[0].test_sharpe == 1.5
    assert head_of(ledger)["entries"] == 4  # two trials, what a gate found, and another trial


def test_an_edited_trial_of_the_earlier_layout_is_refused(tmp_path: Path) -> None:
    ledger = earlier_ledger(tmp_path)
    path = next(ledger.directory.glob("ab*.json"))
    path.write_text(path.read_text().replace('"seeds": 1', '"seeds": 9'))
    with pytest.raises(TollgateError, match="was changed since"):
        ledger.trials()


def test_a_judgement_is_written_once_and_only_of_a_known_trial(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    ledger.judged("zz" * 8, 1.0)
    assert ledger.trials() == []
    ledger.record(trial("ab"))
    ledger.judged("ab" * 8, 1.5)
    ledger.judged("ab" * 8, 1.5)
    assert head_of(ledger)["entries"] == 2


def test_a_crash_before_the_first_head_leaves_a_ledger_that_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    written: list[str] = []

    def crash(path: Path, body: dict[str, Any]) -> None:
        written.append(path.name)
        if len(written) == 3:  # head of an empty ledger, entry, head
            raise RuntimeError("killed")
        write_document(path, body)

    monkeypatch.setattr(trials_module, "write_document", crash)
    with pytest.raises(RuntimeError):
        ledger.record(trial("ab"))
    assert written == ["head.json", "000001-abababababababab.json", "head.json"]
    assert [each.policy[:2] for each in ledger.trials()] == ["ab"]


def test_the_last_entry_cannot_be_rewritten_with_a_hash_of_its_own(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    ledger.record(trial("ab"))
    ledger.record(trial("cd", seeds=9))
    last = sorted(ledger.directory.glob("0*.json"))[-1]
    body = read_document(last)
    body["trial"]["seeds"] = 1
    write_document(last, body)
    with pytest.raises(TollgateError, match=last.name):
        ledger.trials()


def test_the_largest_number_of_seeds_counts(tmp_path: Path) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    for seeds in (2, 5, 3):
        ledger.record(trial("ab", seeds=seeds))
    assert number_of(ledger.trials()) == 5
