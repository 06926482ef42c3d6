"""The commands. Library modules are imported inside them, so that `--help` answers at once."""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from rl_core.base import logs
from rl_core.base.checks import Check
from rl_core.base.errors import Interrupted, TollgateError
from rl_core.cli import training
from rl_core.cli.data import data
from rl_core.cli.models import models
from rl_core.cli.output import AsJson, Desk, emit
from rl_core.cli.trial import gate_trial

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode="markdown",
    help="""Train trading agents and let only those through that prove themselves.

The chain of a desk: bars → backtest_history → offline_dataset → regime_dataset → bc_policy →
ppo_policy → prediction_validation → deployed_model. Dagster runs it every week; each link can
be run here as well. Results go to standard output, progress to standard error.

Exit codes: 0 done, 1 a check failed, 2 wrong input or usage (nothing was written), 130 or 143 a
training was interrupted and saved.""",
)
app.add_typer(models, name="models")
app.add_typer(data, name="data")
bars_of_desk = typer.Typer()
app.add_typer(bars_of_desk, name="bars")

training.add_to(app)
app.command()(gate_trial)


def run() -> None:
    """Run the command line: a user's mistake is one line on standard error and exit code 2."""
    if not sys.stdout.isatty():  # help that is piped is not cut to a narrow terminal's width
        os.environ.setdefault("TERMINAL_WIDTH", "120")
    try:
        logs.configure()
        app()
    except (TollgateError, OSError) as error:
        print(f"tollgate: {one_line(error)}", file=sys.stderr)
        raise SystemExit(2) from None
    except Interrupted as interruption:
        print(f"tollgate: {interruption}", file=sys.stderr)
        raise SystemExit(128 + interruption.signum) from None


def one_line(error: TollgateError | OSError) -> str:
    """What went wrong, in one line; of the machine's own errors with the file that they name."""
    if isinstance(error, OSError):
        file = f": {error.filename}" if error.filename else ""
        return f"files must be read and written, was not: {error.strerror or error}{file}"
    return str(error)


@app.command()
def desks(as_json: AsJson = False) -> None:
    """List the desks and where their settings lie.

    A desk is one YAML file in `rl_core/desks/` or in the folder that TOLLGATE_DESKS names.
    """
    from rl_core.cli import show
    from rl_core.desk import desk_files, read_desks

    found, broken = read_desks()
    files = desk_files()
    rows = [
        {"desk": desk.name, "description": desk.description, "file": str(files[desk.name][0])}
        for desk in found
    ] + [
        {
            "desk": name,
            "description": f"BROKEN: {problem}",
            "file": ", ".join(str(file) for file in files[name]),
        }
        for name, problem in broken.items()
    ]
    emit(rows, as_json, show.rows)
    if broken:
        raise typer.Exit(2)


@app.command()
def new_desk(
    name: Annotated[str, typer.Argument(help="Name of the new desk: a-z, 0-9 and _.")],
    like: Annotated[str, typer.Option(help="Desk to begin from; `tollgate desks` lists them.")],
) -> None:
    """Write a new desk as a copy of another one, into the folder that TOLLGATE_DESKS names.

    `tollgate data add` makes a desk of your own file instead. Example:
    `TOLLGATE_DESKS=desks tollgate new-desk my_futures --like index_futures`
    """
    from rl_core.desk.new import desk_like, place_of, write_desk

    path = place_of(name)
    write_desk(name, desk_like(name, like), path)
    print(f"wrote {path}\nnext: edit it, then tollgate settings --desk {name}")


@app.command()
def settings(
    desk: Annotated[str | None, typer.Option("--desk", help="Name of the desk.")] = None,
    schema: Annotated[
        str | None,
        typer.Option(
            help="Print the JSON schema of a kind's desk files: spot, futures, portfolio."
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print every setting of a desk, defaults included, or what desk files may hold.

    An editor completes a desk's YAML by its schema: `tollgate settings --schema spot > spot.json`,
    and `# yaml-language-server: $schema=spot.json` in the file's first line.
    """
    from rl_core.cli import show
    from rl_core.desk import KINDS, load_desk

    if (desk is None) == (schema is None):
        raise TollgateError("settings must be given one of --desk and --schema")
    if schema is not None:
        if schema not in KINDS:
            raise TollgateError(f"--schema must be one of {', '.join(KINDS)}, was {schema}")
        print(json.dumps(KINDS[schema].model_json_schema(), indent=2))
        return
    emit(load_desk(str(desk)).resolved(), as_json, show.settings)


@bars_of_desk.callback(invoke_without_command=True)
def bars(
    context: typer.Context,
    desk: Annotated[str | None, typer.Option("--desk", help="Name of the desk.")] = None,
    as_json: AsJson = False,
) -> None:
    """Read a desk's bars and print their quality report with a verdict. Writes nothing.

    The report counts gaps, duplicates, rows out of order, OHLC contradictions, zero-volume,
    stale and jumping bars, with all row numbers in `--json`. Exit 1 if a check fails that stops the
    chain, 2 if the bars break the contract.
    """
    if context.invoked_subcommand is not None:
        return
    if desk is None:
        raise typer.BadParameter("--desk must be given: tollgate desks lists them")
    from rl_core.cli import show
    from rl_core.steps.bars import checks_of, quality_counts
    from rl_core.steps.context import DeskContext
    from rl_core.steps.latest_bars import LATEST, judge_currency, newest_source

    own = DeskContext.open(desk)
    config, source = own.desk, newest_source(own)
    report = source.report
    found = [*checks_of(report, config.quality), *judge_currency(LATEST, own, report.end)]
    everything, checks = report.model_dump(), [check.model_dump() for check in found]
    emit(
        (everything if as_json else quality_counts(report) | {"gaps": everything["gaps"]})
        | {"checks": checks},
        as_json,
        show.quality,
    )
    source.checked()
    exit_if_stopped(found)


@bars_of_desk.command()
def update(
    desk: Desk,
    accept_revisions: Annotated[
        bool,
        typer.Option(
            "--accept-revisions", help="Take changes of old bars that bars.revisions refuses."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Bring in what a desk's source has that was not there: a download from its last bar on.

    Prints what was appended, and every old bar that the source has changed, with its old and new
    values. The chain stands on the bars it was built from until `tollgate build bars` or the
    weekly run takes the new ones. Example: `tollgate bars update --desk btc_spot`
    """
    from rl_core.cli import show
    from rl_core.steps.context import DeskContext
    from rl_core.steps.latest_bars import update_bars

    context = DeskContext.open(desk)
    if accept_revisions:
        context = context.with_overrides({"bars.revisions": "accept"})
    emit(show.update_record(update_bars(context)), as_json, show.update)


@app.command()
def backtest(
    desk: Desk,
    start_date: Annotated[str | None, typer.Option(help="First day, 2018-01-31; UTC.")] = None,
    end_date: Annotated[str | None, typer.Option(help="Last day, included.")] = None,
    output: Annotated[
        Path | None, typer.Option(help="Write the decisions to this Parquet file.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run the ensemble over a desk's bars beside buy and hold and the desk's other benchmarks.

    All costs are paid.

    Example: `tollgate backtest --desk btc_spot --start-date 2018-01-01 --end-date 2018-12-31`
    """
    from rl_core.cli import show
    from rl_core.desk import PROJECT_ROOT
    from rl_core.features.sentiment import read_sentiment
    from rl_core.steps.backtest_history import in_sample_until, run_backtest
    from rl_core.steps.bars import caveats
    from rl_core.steps.context import DeskContext
    from rl_core.steps.latest_bars import newest_source

    own = DeskContext.open(desk)
    config = own.desk
    sentiment = read_sentiment(config.sentiment, PROJECT_ROOT)
    source = newest_source(own)
    result = run_backtest(config, source.checked(), sentiment, start_date, end_date)
    if output is not None:
        if not output.parent.is_dir() or output.is_dir():
            raise TollgateError(f"--output must be a file in an existing folder, was {output}")
        result.records.to_parquet(output, index=False)
    records = result.records
    summary = {
        "desk": desk,
        "market": config.bars.market_name,
        "start": str(records["timestamp"].iloc[0]),
        "end": str(records["timestamp"].iloc[-1]),
        "decisions": len(records),
        "in_sample_until": str(in_sample_until(config, result.market)),
        "caveats": caveats(source.report, config.quality),
        "performance": {name: p.model_dump() for name, p in result.performance.items()},
    }
    emit(summary, as_json, show.backtest)


@app.command()
def regimes(
    desk: Desk,
    date: Annotated[
        str | None, typer.Option(help="A session, 2008-10-10; all of them, when left out.")
    ] = None,
    every: Annotated[
        int | None,
        typer.Option(help="Also how each did in training years, ordered so often."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Print what a portfolio desk may choose from, what it would hold, and what it costs to enter.

    Costs are fractions of equity, from cash and from equal weight, slippage at its mean. Example:
    `tollgate regimes --desk us_portfolio --date 2008-10-10`
    """
    from rl_core.cli import show
    from rl_core.desk import PortfolioDesk
    from rl_core.kinds.portfolio.kind import of_panel
    from rl_core.kinds.portfolio.table import regime_table
    from rl_core.steps.bars import caveats
    from rl_core.steps.context import DeskContext
    from rl_core.steps.latest_bars import newest_source

    own = DeskContext.open(desk)
    config = own.desk
    if not isinstance(config, PortfolioDesk):
        raise TollgateError(f"desk must be of kind portfolio, was {desk}")
    source = newest_source(own)
    market = of_panel(own.kind.prepare(source.checked(), None, None))
    records = regime_table(market, config, date, every)
    emit(
        {"regimes": records, "caveats": caveats(source.report, config.quality)},
        as_json,
        show.regimes,
    )


@app.command()
def build(
    link: Annotated[
        str,
        typer.Argument(
            help="bars, backtest_history, offline_dataset, regime_dataset or "
            "prediction_validation; `bc` and `ppo` train, `deploy` deploys."
        ),
    ],
    desk: Desk,
    as_json: AsJson = False,
) -> None:
    """Build one link of the chain from those before it, as Dagster does.

    Refuses to build on a link that is stale or that a check stopped. Ends with the link's own
    checks; exit 1 if one fails that stops the chain.
    """
    from rl_core.cli import show
    from rl_core.steps.chain import step_named
    from rl_core.steps.context import DeskContext
    from rl_core.steps.offline_dataset import OFFLINE_DATASET
    from rl_core.steps.runner import build as build_step
    from rl_core.steps.runner import verdicts

    step, context = step_named(link), DeskContext.open(desk)
    opened = build_step(context, step)
    emit(show.artifact_record(opened), as_json, show.artifact)
    if step is OFFLINE_DATASET and not as_json:
        show.dataset_sample(context, opened)
    found = verdicts(context, step)
    if not as_json:
        show.checks([check.model_dump() for check in found])
    exit_if_stopped(found)


@app.command()
def validate(desk: Desk, as_json: AsJson = False) -> None:
    """Check the offline dataset on disk anew; exit 1 if a blocking check fails."""
    from rl_core.cli import show
    from rl_core.steps.context import DeskContext
    from rl_core.steps.offline_dataset import OFFLINE_DATASET
    from rl_core.steps.runner import verdicts

    checks = verdicts(DeskContext.open(desk), OFFLINE_DATASET, fresh=True)
    emit([check.model_dump() for check in checks], as_json, show.checks)
    exit_if_stopped(checks)


@app.command()
def gate(desk: Desk, as_json: AsJson = False) -> None:
    """Judge the trained policy on the test span and print every check; exit 1 if it is refused.

    Two tiers: safety decides whether it may be served as `shadow`, skill whether it becomes
    `champion`. `tollgate gate-trial` measures how often each is wrong.
    """
    from rl_core.cli import show
    from rl_core.steps.context import DeskContext
    from rl_core.steps.prediction_validation.step import GATE, read_report
    from rl_core.steps.runner import build as build_step

    report = read_report(build_step(DeskContext.open(desk), GATE))
    emit(report.model_dump(mode="json"), as_json, show.gate)
    if not report.is_safe:
        raise typer.Exit(1)


@app.command()
def deploy(desk: Desk, as_json: AsJson = False) -> None:
    """Put the policy that passed the gate into the model store and serve it.

    As `shadow` if it is safe, as `champion` too if it has shown skill. Refused, with a reason, when
    the gate failed or anything in the lineage was changed.
    """
    from rl_core.cli import show
    from rl_core.steps.context import DeskContext
    from rl_core.steps.deployed_model.deploy import deploy as deploy_policy
    from rl_core.steps.deployed_model.step import DEPLOYED

    version = deploy_policy(DeskContext.open(desk), DEPLOYED)
    emit(show.version_row(version), as_json, show.settings)


@app.command()
def predict(
    desk: Desk,
    position: Annotated[
        float | None, typer.Option(help="Spot: value held / equity of the asking account.")
    ] = None,
    days_since_trade: Annotated[
        float | None, typer.Option(help="Spot: of that account; left out: it never traded.")
    ] = None,
    account: Annotated[
        list[str] | None,
        typer.Option(
            help="A figure of the asking account, name=number; give it several times. Futures: "
            "contracts, entry_price, stop_price, target_price, held_bars, drawdown_usd, "
            "day_loss_usd, is_barred. Portfolio: the weight held of each stock, AAPL=0.1, and "
            "sessions_since_order, drawdown, last_return, return_5, return_20, cost_20, "
            "last_cost, equity."
        ),
    ] = None,
    stage: Annotated[
        str | None, typer.Option(help="champion or shadow; champion if there is one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Ask the deployed model what to do at the close of the latest bar.

    Verifies the hashes of the model before it is loaded. Without options the account that asks has
    nothing but cash. Example: `tollgate predict --desk index_futures --account contracts=1
    --account entry_price=18000 --account stop_price=17980 --account target_price=18030`, or
    `tollgate predict --desk us_portfolio --account AAPL=0.1 --account sessions_since_order=12`
    """
    from rl_core.cli import show
    from rl_core.steps.context import DeskContext
    from rl_core.steps.prediction import predict_latest

    figures = account_figures(account or [])
    shorthand = {"position": position, "days_since_trade": days_since_trade}
    figures |= {name: figure for name, figure in shorthand.items() if figure is not None}
    answer = predict_latest(DeskContext.open(desk), figures, stage)
    emit(answer, as_json, show.prediction)


@app.command()
def summary(desk: Desk, as_json: AsJson = False) -> None:
    """Print what a desk's chain has come to, from bars to the served model."""
    from rl_core.cli import show
    from rl_core.steps.context import DeskContext
    from rl_core.steps.summary import summarise_chain

    emit(summarise_chain(DeskContext.open(desk)), as_json, show.summary)


@app.command()
def clean(
    desk: Desk,
    keep: Annotated[
        int, typer.Option(min=0, help="Newest artefacts of each link to keep besides.")
    ] = 3,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove it; without this, only say what would go.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show, and with --delete remove, artefacts that nothing needs any more.

    Every build keeps what was built before. Never removed: what the chain stands on, what any
    version in the model store was made from (served, champion, or one to roll back to), and the
    newest of each link. Example: `tollgate clean --desk btc_spot --keep 3 --delete`
    """
    from rl_core.cli import show
    from rl_core.steps.context import DeskContext
    from rl_core.steps.ppo_policy.step import record_every_trial
    from rl_core.store.retention import clean as clean_lake

    context = DeskContext.open(desk)
    sizes = {
        each.path: each.num_bytes
        for each in clean_lake(context.artifacts, context.models, keep, is_dry_run=True)
    }
    found = clean_lake(
        context.artifacts,
        context.models,
        keep,
        is_dry_run=not delete,
        before=lambda: record_every_trial(context),  # a training that was killed before it could
    )
    rows: list[dict[str, Any]] = [
        {
            "link": each.step,
            "what": each.path.name,
            "MB": round(sizes.get(each.path, 0) / 1e6, 2),
            "why": each.why,
        }
        for each in found
    ]
    emit(rows, as_json, show.rows)
    if not as_json:
        megabytes = sum(row["MB"] for row in rows)
        print(f"{'removed' if delete else 'would remove'} {len(rows)}, {megabytes:,.1f} MB")
        if rows and not delete:
            print("nothing was removed: add --delete to do it")


def exit_if_stopped(found: Sequence[Check]) -> None:
    """Exit 1 if a check failed that stops the chain."""
    if any(check.is_blocking and not check.passed for check in found):
        raise typer.Exit(1)


def account_figures(pairs: list[str]) -> dict[str, float]:
    """`name=number` pairs as a mapping.

    Raises:
        TollgateError: one is not such a pair.
    """
    figures: dict[str, float] = {}
    for pair in pairs:
        name, _, number = pair.partition("=")
        if name in figures:
            raise TollgateError(f"--account must name each figure once, was {name} twice")
        try:
            figures[name] = float(number)
        except ValueError:
            raise TollgateError(f"--account must be name=number, was {pair}") from None
    return figures
