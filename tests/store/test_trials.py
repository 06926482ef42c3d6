"""The ledger counts every training once, and forgets none."""

from pathlib import Path

import numpy as np
import pytest

from rl_core.base.errors import TollgateError
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
    next(ledger.directory.glob("*.json")).write_text("{")
    with pytest.raises(TollgateError, match="must be whole JSON"):
        ledger.trials()


@pytest.mark.parametrize("edit", [("1.0", "2.0"), ('"seeds": 1', '"seeds": 0'), ("0.3", "0.9")])
def test_an_entry_that_was_edited_is_refused(tmp_path: Path, edit: tuple[str, str]) -> None:
    ledger = TrialLedger(tmp_path, "desk")
    ledger.record(trial("ab"))
    path = next(ledger.directory.glob("*.json"))
    path.write_text(path.read_text().replace(*edit))
    with pytest.raises(TollgateError, match="must be as it was written, was changed since"):
        ledger.trials()
