"""The model card: nothing that anybody wrote somewhere becomes markup in it."""

import re

import pytest

from rl_core.base.checks import Check
from rl_core.judging.report import ChampionComparison, GateReport
from rl_core.steps.deployed_model.card import card_html, card_markdown, in_order
from rl_core.store.models import Manifest
from tests.store.test_models import manifest

HOSTILE = "SIM<script>alert(1)</script><img src=x onerror=alert(2)>[go](javascript:alert(3))"


def report(text: str) -> GateReport:
    check = Check(name="x", passed=True, is_blocking=True, detail=text)
    return GateReport(
        desk="small", data=text, policy="p", test_start="2020-01-01", test_end="2020-02-01",
        test_bars=10, is_safe=True, checks=[check], predictions={}, performance={}, actions={},
        champion=ChampionComparison(
            version="v0", last_bar="2020", is_same_policy=False, agreement=None, reason=text,
            settings=[text],
        ),
        caveats=[text],
    )  # fmt: skip


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> str:
    def fine(_report: object) -> str:
        return "fine"

    monkeypatch.setattr("rl_core.steps.deployed_model.card.verdict", fine)
    whole: Manifest = manifest("v1")
    span = whole.data.model_copy(update={"market": HOSTILE})
    return card_markdown(whole.model_copy(update={"data": span}), report(HOSTILE), [], None)


def test_hostile_text_becomes_text_in_the_page(card: str) -> None:
    page = card_html(card, {})
    assert not re.search(r"<(script|img|a)\b", page)
    assert "onerror" in page  # it can be read, and does nothing
    assert "&lt;script&gt;" in page


def test_hostile_text_becomes_text_in_the_markdown_that_dagster_shows(card: str) -> None:
    assert "<script" not in card
    assert "<img" not in card
    assert "[go](" not in card.replace("\\[go](", "")


def test_the_page_may_neither_run_nor_fetch_anything(card: str) -> None:
    page = card_html(card, {"equity.png": b"png"})
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1] == "default-src 'none'; img-src data:; style-src 'unsafe-inline'"


def test_plots_stand_in_the_order_in_which_they_are_read() -> None:
    names = ["zoo.png", "regimes.png", "predictions_24h.png", "predictions_1h.png", "equity.png"]
    assert in_order(names) == [
        "equity.png", "predictions_1h.png", "predictions_24h.png", "regimes.png", "zoo.png",
    ]  # fmt: skip
