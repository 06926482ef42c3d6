"""How results look to a person."""

import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markdown import Markdown
from rich.table import Table

from rl_core.base.figures import percent
from rl_core.judging.reports.verdict import verdict
from rl_core.steps.context import DeskContext, Opened
from rl_core.store.models import Version

if TYPE_CHECKING:
    from rl_core.steps.latest_bars import Update

PIPED_WIDTH = 120  # of a file or a log, which has no width of its own
console = Console(width=None if sys.stdout.isatty() else PIPED_WIDTH)
RULES = "rule_violations"
MOST_NAMED = 10  # stocks in a cell
MOST_CHANGED = 20  # values of bars
AS_PERCENT = {
    "total_return", "annual_return", "annual_volatility", "max_drawdown", "win_rate", "costs_paid",
    "exposure",
}  # fmt: skip


def table(title: str, columns: Sequence[str], lines: Sequence[Sequence[Any]]) -> None:
    """Print a table with a title above it."""
    grid = Table(title=title, title_justify="left", header_style="bold", box=box.SIMPLE_HEAD)
    for position, column in enumerate(columns):
        grid.add_column(column, overflow="fold", no_wrap=position == 0)
    for line in lines:
        grid.add_row(*(text(cell) for cell in line))
    console.print(grid)


def text(value: Any) -> str:
    """A cell: numbers rounded, None as a dash."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list) and all(isinstance(each, float) for each in value):
        return " to ".join(text(each) for each in value)
    if isinstance(value, float):
        return f"{value:,.4f}" if abs(value) < 100 else f"{value:,.2f}"
    return f"{value:,}" if isinstance(value, int) else str(value)


def rows(lines: Sequence[Mapping[str, Any]]) -> None:
    """Print a list of records as a table."""
    if not lines:
        console.print("none")
        return
    table("", list(lines[0]), [list(line.values()) for line in lines])


def settings(values: Mapping[str, Any]) -> None:
    """Print nested settings, one dotted name a line."""
    table("", ["name", "value"], list(_dotted(values)))


def _dotted(values: Mapping[str, Any], prefix: str = "") -> Sequence[tuple[str, Any]]:
    lines: list[tuple[str, Any]] = []
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            lines += _dotted(value, f"{prefix}{name}.")
        else:
            lines.append((f"{prefix}{name}", value))
    return lines


def markdown(text_: str) -> None:
    """Print a Markdown report with its tables drawn."""
    console.print(Markdown(text_))


def quality(report: Mapping[str, Any]) -> None:
    """The quality report, with the first gaps."""
    gaps = report["gaps"]
    apart = ("checks", "notes", "named")
    counts = [(k, len(v) if k == "gaps" else v) for k, v in report.items() if k not in apart]
    table("bars", ["what", "value"], counts)
    understood(report["notes"])
    if gaps:
        table("first gaps", ["from", "missing bars"], [list(gap.values()) for gap in gaps[:10]])
    checks(report["checks"])


def understood(notes: Sequence[str]) -> None:
    """Say how a source was understood, where it was guessed."""
    for note in notes:
        console.print(f"note: {note}", soft_wrap=True, markup=False, highlight=False)


def update_record(found: "Update") -> dict[str, Any]:
    """What an update brought, as a record."""
    facts, revisions = found.latest.facts, found.revisions
    changed = [] if revisions is None else revisions.changed.to_dict("records")
    return {
        "rows": facts.rows,
        "start": facts.start,
        "end": facts.end,
        "appended": facts.rows if revisions is None else revisions.appended,
        "changed_bars": 0 if revisions is None else revisions.changed_bars,
        "inserted": 0 if revisions is None else revisions.inserted,
        "removed": 0 if revisions is None else revisions.removed,
        "changed": changed,
        "history": "the first bars" if revisions is None else revisions.describe(),
        "is_new": found.is_new,
        "content": found.latest.content,
        "path": str(found.latest.path),
    }


def update(record: Mapping[str, Any]) -> None:
    """Print what an update brought, and the old bars that the source changed."""
    hidden = {"changed", "history"}
    settings({name: value for name, value in record.items() if name not in hidden})
    changed = record["changed"]
    if changed:
        rows(changed[:MOST_CHANGED])
        if len(changed) > MOST_CHANGED:
            console.print(f"and {len(changed) - MOST_CHANGED:,} more values: see --json")
    console.print(record["history"] if record["is_new"] else "nothing new: bars are what they were")


def inspection(found: Mapping[str, Any]) -> None:
    """What a file of bars is, and what is odd about it."""
    table(found["file"], ["what", "found", "why"], [list(row.values()) for row in found["found"]])
    understood(found["notes"])
    checks(found["checks"])
    if found["error"]:
        console.print(f"refused: {found['error']}", soft_wrap=True, markup=False)


def backtest(result: Mapping[str, Any]) -> None:
    """Print the performance of a backtest beside its benchmarks."""
    accounts(
        f"{result['desk']} on {result['market']}: {result['decisions']:,} decisions, "
        f"{result['start'][:16]} to {result['end'][:16]}, all costs paid",
        result["performance"],
    )
    console.print(
        f"Regime thresholds are fitted on the bars up to {result['in_sample_until'][:16]}: "
        "decisions before that are in-sample.",
        soft_wrap=True,
    )
    caveats(result["caveats"])


def accounts(title: str, performance: Mapping[str, Mapping[str, Any]]) -> None:
    """Accounts beside each other, a figure a line."""
    figures = [
        name
        for name in next(iter(performance.values()))
        if name != RULES and any(each.get(name) not in (None, "") for each in performance.values())
    ]
    lines = [
        [name, *(percent(p[name]) if name in AS_PERCENT else p[name] for p in performance.values())]
        for name in figures
    ]
    rules = [rule for each in performance.values() for rule in each.get(RULES, {})]
    for rule in dict.fromkeys(rules):
        broken = [each.get(RULES, {}).get(rule) for each in performance.values()]
        lines.append([f"broken: {rule}", *broken])
    table(title, ["", *performance], lines)


def artifact_record(opened: Opened[Any]) -> dict[str, Any]:
    """What a sealed artefact says of itself, as a JSON value."""
    seal = opened.seal
    return {
        "desk": seal.desk,
        "name": seal.name,
        "created_at": seal.created_at,
        "identity": opened.identity,
        "content": opened.content,
        "files": seal.files,
        "inputs": seal.inputs,
        "metadata": seal.facts,
        "timings": seal.timings,
    }


def artifact(sealed: Mapping[str, Any]) -> None:
    """Print the identity, settings and figures of an artefact."""
    table(
        f"{sealed['name']} of {sealed['desk']}",
        ["what", "value"],
        list(_dotted(sealed["metadata"])),
    )
    console.print(f"content {sealed['content']}")


def trained(sealed: Mapping[str, Any]) -> None:
    """A trained link and the verdict on its training."""
    artifact(sealed)
    checks(sealed["checks"])


def dataset_sample(context: DeskContext, opened: Opened[Any]) -> None:
    """A few rows of the offline dataset."""
    from rl_core.steps.offline_dataset import dataset_sample as sample

    frame = sample(context, opened)
    table("samples", list(frame.columns), frame.to_numpy().tolist())


def checks(results: Sequence[Mapping[str, Any]], title: str = "checks") -> None:
    """Print checks with their verdicts and details."""
    lines = [
        [
            r["name"],
            "pass" if r["passed"] else "not enough evidence" if r.get("is_undecided") else "FAIL",
            "yes" if r["is_blocking"] else "",
            r["detail"],
        ]
        for r in results
    ]
    table(title, ["check", "verdict", "blocking", "detail"], lines)


def gate(report: Mapping[str, Any]) -> None:
    """Print the gate's verdict, check by check."""
    checks(report["checks"], "safety: may it be served?")
    if report["skill"] is not None:
        trials = report["skill"]["trials"]
        checks(report["skill"]["checks"], f"skill: has it earned a vote? (trials so far: {trials})")
    accounts(
        f"test span of {report['data']}: {report['test_bars']:,} bars, "
        f"{report['test_start'][:16]} to {report['test_end'][:16]}, all costs paid",
        report["performance"],
    )
    caveats(report["caveats"])
    console.print(verdict(report), soft_wrap=True)


def caveats(said: Sequence[str]) -> None:
    """What must be known of the data, before anybody believes a figure."""
    for caveat in said:
        console.print(f"[bold]{caveat}[/bold]", soft_wrap=True)


def holdings(weights: Mapping[str, float]) -> str:
    """Weights in words: stocks that weigh the same stand together."""
    alike: dict[str, list[str]] = {}
    for symbol, weight in weights.items():
        alike.setdefault(percent(weight), []).append(symbol)
    parts = [
        f"{', '.join(names[:MOST_NAMED])}{' ...' if len(names) > MOST_NAMED else ''}: {weight} each"
        for weight, names in alike.items()
    ]
    return f"{len(weights)} stocks. {'; '.join(parts)}" if weights else ""


def regimes(result: Mapping[str, Any]) -> None:
    """The menu of a portfolio desk."""
    records: list[dict[str, Any]] = [
        {**each, "weights": holdings(each["weights"])} for each in result["regimes"]
    ]
    digits = {"cost_from_cash": 3, "cost_from_equal_weight": 3, **dict.fromkeys(AS_PERCENT, 1)}

    def part(title: str, names: Sequence[str]) -> None:
        lines = [
            [percent(each[name], digits[name]) if name in digits else each[name] for name in names]
            for each in records
        ]
        table(title, [name.replace("_", " ") for name in names], lines)

    names = list(records[0])
    menu = names[: names.index("cost_from_equal_weight") + 1]
    part("what each regime means, and what it costs to enter", menu)
    if kept_up := names[len(menu) :]:
        part("ordered again and again on the training span, all costs paid", ["regime", *kept_up])
        caveats(result["caveats"])


def trials(found: Sequence[Mapping[str, Any]]) -> None:
    """The ledger, hashes and times cut short."""
    shortened = [
        {
            "weights": each["policy"][:12],
            "made": each["made_at"][:16],
            "seeds": each["seeds"],
            "settings": each["settings"][:8],
            "validation": each["validation_sharpe"],
            "test": each["test_sharpe"],
        }
        for each in found
    ]
    rows(shortened)
    console.print("Sharpe ratios are annual; test: of those that a gate has judged.")


VERSION_COLUMNS = (
    "version", "stage", "created", "market", "bars to", "test return", "buy and hold",
)  # fmt: skip


def version_row(version: Version) -> dict[str, Any]:
    """A version of a model as one line of a table."""
    m = version.manifest
    return {
        "version": m.version,
        "stage": m.stage,
        "created": m.created_at,
        "market": m.data.market,
        "bars to": m.data.last_bar,
        "test return": m.metrics["test"]["policy"]["total_return"],
        "buy and hold": m.metrics["test"]["buy_and_hold"]["total_return"],
    }


def prediction(answer: Mapping[str, Any]) -> None:
    """Print one decision with its probabilities and predicted returns."""
    lines = [line for line in _dotted(answer) if line[0] != "reasons"]
    market = f"{answer['symbol']}{' (SIMULATED)' if answer['is_simulated'] else ''}"
    table(
        f"{answer['desk']}: {market} at the close of {answer['timestamp']}",
        ["what", "value"],
        lines,
    )


def summary(result: Mapping[str, Any]) -> None:
    """The chain from bars to the served model, and what to try next."""
    desk, bars = result["desk"], result["bars"]
    start, end = bars["start"][:10], bars["end"][:10]
    table(f"{desk}: from bars to a deployed model", ["link", "result"], _summary_lines(result))
    gate(result["gate"])
    console.print(
        f"\nNext: [bold]make ui[/bold] shows the lineage and these runs on http://127.0.0.1:3000\n"
        f"      tollgate predict --desk {desk}\n"
        f"      tollgate backtest --desk {desk} --start-date {start} --end-date {end}\n"
        f"      tollgate models list --desk {desk}",
        soft_wrap=True,
    )


def _summary_lines(result: Mapping[str, Any]) -> list[tuple[str, str]]:
    stocks = f" ({result['bars']['stocks']} stocks)" if result["bars"]["stocks"] > 1 else ""
    bars, history, dataset = (result[n] for n in ("bars", "backtest_history", "offline_dataset"))
    regime, model = result["regime_dataset"], result["model"]
    cloned, ppo = result["bc_policy"]["validation"], result["ppo_policy"]
    before, after = ppo["validation_of_clone"], ppo["validation"]
    accounts_ = history["performance"]
    teacher, held = (accounts_[n]["total_return"] for n in ("ensemble", "buy_and_hold"))
    shares = ", ".join(
        f"{n} {count / dataset['rows']:.1%}" for n, count in dataset["actions"].items()
    )
    return [
        (
            "bars",
            f"{bars['rows']:,} of {result['market']}{stocks}, {bars['start'][:16]} to "
            f"{bars['end'][:16]}, {bars['missing_bars']} missing, {bars['zero_volume_rows']} "
            "without volume",
        ),
        (
            "backtest_history",
            f"{history['decisions']:,} decisions; ensemble {teacher:+.1%}, "
            f"buy and hold {held:+.1%}, all costs paid",
        ),
        ("offline_dataset", f"{dataset['rows']:,} rows; {shares}"),
        (
            "regime_dataset",
            f"mode {regime['mode']}: {regime['train_rows']:,} of "
            f"{regime['train_rows_before']:,} training rows",
        ),
        (
            "bc_policy",
            f"validation accuracy {cloned['accuracy']:.3f}, balanced "
            f"{cloned['balanced_accuracy']:.3f}, majority class {cloned['majority_share']:.3f}",
        ),
        (
            "ppo_policy",
            f"{ppo['env_steps']:,} steps at {ppo['steps_per_second']:,.0f}/s; validation return "
            f"{before['total_return']:+.1%} as cloned, {after['total_return']:+.1%} after",
        ),
        (
            "deployed_model",
            f"{model['version']}, stage {model['stage']}"
            + ("" if model["is_of_this_chain"] else " (of an earlier run)"),
        ),
    ]
