"""What lies beside the weights of a version for people to read."""

from typing import Any

from rl_core.base.settings import first_differing_section, slice_settings
from rl_core.judging.report import GateReport
from rl_core.steps.context import DeskContext, Opened
from rl_core.steps.deployed_model.card import card_html, card_markdown, in_order
from rl_core.steps.walk_forward.figures import WalkForwardReport
from rl_core.steps.walk_forward.step import WALK_FORWARD
from rl_core.steps.walk_forward.step import read_report as read_walk_report
from rl_core.store.models import Manifest


def documents(
    context: DeskContext, manifest: Manifest, report: GateReport, gate: Opened[Any]
) -> dict[str, bytes]:
    """The model card, its plots and the gate's report: what lies beside the weights."""
    walk = walked(context)
    pictures = {name: gate.read(name) for name in gate.seal.files if name.endswith(".png")}
    if walk is not None:
        pictures |= {n: walk[0].read(n) for n in walk[0].seal.files if n.endswith(".png")}
    plots = {name: pictures[name] for name in in_order(pictures)}
    card = card_markdown(manifest, report, list(plots), None if walk is None else walk[1])
    return {
        "model_card.md": card.encode(),
        "model_card.html": card_html(card, plots).encode(),
        "gate_report.json": report.model_dump_json(indent=2).encode(),
        **plots,
    }


def walked(context: DeskContext) -> tuple[Opened[Any], WalkForwardReport] | None:
    """The walk forward of the desk's settings, whatever bars came since; None if there is none."""
    if not context.artifacts.has(WALK_FORWARD.name):
        return None
    opened = context.open_artifact(WALK_FORWARD)
    ignored = ("walk_forward",)  # how it was walked stands in the report
    found = slice_settings(opened.seal.settings, WALK_FORWARD.reads, ignored)
    now = slice_settings(context.slice_of(WALK_FORWARD), WALK_FORWARD.reads, ignored)
    if first_differing_section(found, now):
        return None
    return opened, read_walk_report(opened)
