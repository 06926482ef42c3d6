"""The model card: what a person should know before using a version, as Markdown and as HTML."""

import html
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from markdown import markdown as to_html

from rl_core.base.figures import inline_image
from rl_core.base.markdown import escaped, table
from rl_core.judging.report import GateReport
from rl_core.judging.reports.gate import sections
from rl_core.judging.reports.verdict import verdict
from rl_core.steps.walk_forward.figures import WalkForwardReport
from rl_core.steps.walk_forward.report import fold_table
from rl_core.steps.walk_forward.report import verdict as walked_verdict
from rl_core.store.models import Manifest

STAGES = {
    "champion": "safe, and shown to have skill: its vote counts",
    "shadow": "safe: served and logged, its vote weighs nothing",
}

LIMITS = """- Trained on this market, bar size and cost level; not valid for any other.
- Every figure is of the test span above, which only the gate reads. The market may change after it,
  and a span on which several trials were judged is no longer quite unseen: that is why they count.
- Costs are the desk's settings. Orders that are large for the market cost more.
- A version is retrained every week; one that is older than that is stale.
- A Sharpe ratio is annual, without a risk-free rate; its interval is bootstrapped."""

STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:62em;margin:2em auto;padding:0 1em;color:#222}
table{border-collapse:collapse;margin:1em 0;font-size:13px}
td,th{border:1px solid #ccc;padding:3px 8px;text-align:left;vertical-align:top}
th{background:#f3f3f3}img{max-width:100%}code{font-size:12px}
blockquote{border-left:4px solid #c90;margin-left:0;padding-left:1em}"""


PLOT_ORDER = ("equity", "predictions", "actions", "regimes", "walk_forward")


def in_order(plots: Iterable[str]) -> list[str]:
    """Names of plots as the card shows them."""

    def rank(plot: str) -> tuple[int, str]:
        known = [n for n, start in enumerate(PLOT_ORDER) if plot.startswith(start)]
        return (known[0] if known else len(PLOT_ORDER), plot)

    return sorted(plots, key=rank)


def card_markdown(
    manifest: Manifest, report: GateReport, plots: Sequence[str], walk: WalkForwardReport | None
) -> str:
    """The card as Markdown; its plots lie beside it."""
    span = manifest.data
    lineage = "\n".join(
        table(
            ("link", "content (SHA-256)", "identity"),
            [
                (name, f"`{ancestor.content[:16]}`", f"`{ancestor.identity[:16]}`")
                for name, ancestor in manifest.lineage.items()
            ],
        )
    )
    pictures = "\n\n".join(f"![{Path(plot).stem}]({plot})" for plot in plots)
    return f"""# Model card: {manifest.desk} {manifest.version}

Stage **{manifest.stage}**: {_stage(manifest, report)}.

**{verdict(report.model_dump(mode="json"))}**

- Data: {span.bars} bars of {escaped(span.market)}, {span.first_bar} to {span.last_bar}, SHA-256
  `{span.content}`
- Judged on {report.test_bars} bars, {report.test_start[:16]} to {report.test_end[:16]}, that no
  training saw
- Policy: `{report.policy}`

## Limits of use

{LIMITS}

{chr(10).join(sections(report))}
## Walked forward

{_walked_forward(manifest.desk, walk)}

## Plots

{pictures}

## Made from

{lineage}
"""


def _stage(manifest: Manifest, report: GateReport) -> str:
    """What the stage means, and on what it rests."""
    ignored = [c.name for c in report.all_checks if not c.passed and not c.is_blocking]
    if manifest.stage == "champion" and ignored:
        return f"its vote counts, by leave of the desk's settings: {', '.join(ignored)} failed"
    return STAGES[manifest.stage]


def _walked_forward(desk: str, walk: WalkForwardReport | None) -> str:
    """What the procedure earned when it was trained anew on one fold after the other."""
    if walk is None:
        return (
            "The procedure was not walked forward with these settings: "
            f"`tollgate walk-forward --desk {desk}` does it."
        )
    return "\n".join(
        [walked_verdict(walk), "", f"Scheme {walk.scheme}:", "", *fold_table(walk.folds)]
    )


def with_pictures(card: str, plots: Mapping[str, bytes]) -> str:
    """The Markdown with its plots inside, for where no file lies beside it."""
    for name, content in plots.items():
        stem = Path(name).stem
        card = card.replace(f"![{stem}]({name})", inline_image(stem, content))
    return card


def card_html(card: str, plots: Mapping[str, bytes]) -> str:
    """The same as one HTML file with its plots inside: nothing is fetched when it is opened.

    Whatever the card says, no markup of its own gets through, and the page may run no script.
    """
    body = to_html(
        with_pictures(card, plots).replace("<", "&lt;"), extensions=["tables", "sane_lists"]
    )
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    title = html.escape(card.splitlines()[0].removeprefix("# "))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}"><title>{title}</title>'
        f"<style>{STYLE}</style></head><body>\n{body}\n</body></html>\n"
    )
