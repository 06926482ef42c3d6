"""The verdict in words claims nothing that the checks do not show."""

from typing import Any

import pytest

from rl_core.judging.report import GateReport
from rl_core.judging.reports.verdict import verdict


def report(skill: str | None, *, safe: bool = True, sharpe: float | None = 1.5) -> dict[str, Any]:
    def account(value: float | None) -> dict[str, float | None]:
        return {"sharpe": value, "sharpe_low": -1.0, "sharpe_high": 4.0}

    failing = [{"name": "beats_the_teacher", "passed": skill == "skilled", "is_blocking": True}]
    return {
        "is_safe": safe,
        "is_skilled": safe and skill == "skilled",
        "checks": [{"name": "inference_is_fast", "passed": safe, "is_blocking": True}],
        "skill": None
        if skill is None
        else {"verdict": skill, "checks": failing, "significance": 0.05},
        "performance": {
            "policy": account(sharpe), "teacher": account(0.5), "buy_and_hold": account(1.0)
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("skill", "words"),
    [
        ("skilled", "Safe and skilled: deployed it becomes champion"),
        ("no skill shown", "Skill: not shown: it is no better than its teacher; so it is no"),
        ("not enough evidence", "Skill: not enough evidence to say whether it is better than its"),
        (None, "Skill was not judged"),
    ],
)
def test_each_verdict_has_its_words(skill: str | None, words: str) -> None:
    said = verdict(report(skill))
    assert words in said
    assert "Sharpe ratio is 1.50 (95%: -1.00 to 4.00); ensemble (teacher) 0.50" in said


def test_a_refusal_names_the_check_and_never_a_champion() -> None:
    said = verdict(report("skilled", safe=False))
    assert said.startswith("Refused by inference_is_fast: it may not be served.")
    assert "becomes champion" not in said


def test_a_policy_that_never_traded_shows_no_edge() -> None:
    assert "it did not trade" in verdict(report("no skill shown", sharpe=None))


def test_a_champion_by_leave_of_the_settings_is_called_so() -> None:
    lenient = report("skilled")
    lenient["skill"]["checks"] = [
        {"name": "beats_the_teacher", "passed": False, "is_blocking": False}
    ]
    said = verdict(lenient)
    assert "passed because the desk's settings let these fail: beats_the_teacher" in said
    assert "every test passed" not in said


def test_a_report_that_does_not_say_so_is_not_skilled() -> None:
    assert GateReport.model_fields["is_skilled"].default is False
