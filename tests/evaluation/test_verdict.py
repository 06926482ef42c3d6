"""The verdict claims no edge that the figures do not show."""

import pytest

from rl_core.evaluation.verdict import verdict


def report(sharpe: float | None, error: float, *, safe: bool = True) -> dict[str, object]:
    def account(value: float | None) -> dict[str, float | None]:
        return {"sharpe": value, "sharpe_standard_error": error}

    return {
        "is_safe": safe,
        "checks": [{"name": "inference_is_fast", "passed": safe}],
        "performance": {
            "policy": account(sharpe), "teacher": account(0.5), "buy_and_hold": account(1.0)
        },
    }  # fmt: skip


@pytest.mark.parametrize(
    ("sharpe", "words"),
    [
        (1.5, "no edge that chance could not give: Sharpe 1.50 ± 0.40 (teacher 0.50"),
        (1.9, "hints at an edge"),  # above buy and hold's 1.0 by more than two errors
        (None, "it did not trade, so it shows no edge"),
    ],
)
def test_an_edge_must_beat_every_rival_by_two_standard_errors(sharpe: float, words: str) -> None:
    said = verdict(report(sharpe, 0.4))
    assert words in said
    assert "never champion yet" in said


def test_a_refusal_names_the_check() -> None:
    assert verdict(report(1.0, 1.0, safe=False)).startswith("Refused by inference_is_fast.")
