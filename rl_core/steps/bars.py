"""bars: the desk's source, held to the bar contract, with its quality report."""

import pandas as pd

from rl_core.base.checks import Check, CheckSpec
from rl_core.base.paths import PROJECT_ROOT
from rl_core.features.sentiment import late_rows, read_sentiment
from rl_core.market.bars import describe_rows
from rl_core.market.quality import ROW_CHECKS, QualityReport
from rl_core.market.settings import BAR_CHECKS, REPAIRS, QualityConfig
from rl_core.steps.context import DeskContext, Opened, Task
from rl_core.steps.latest_bars import (
    LATEST,
    TABLE,
    judge_currency,
    judge_history,
    quality_of,
    refuse_old_bars,
    snapshot_before,
    update_bars,
)
from rl_core.steps.sections import LIMITS
from rl_core.steps.step import Facts, Step
from rl_core.store.parts import link

SENTIMENT = "sentiment.parquet"


class BarsFacts(Facts):
    """How many bars there are, and how many of them are odd."""

    rows: int
    start: str
    end: str
    symbol: str
    is_simulated: bool
    sentiment_rows: int
    was_newest_first: bool
    gaps: int
    missing_bars: int
    off_grid_rows: int
    duplicate_rows: int
    unsorted_rows: int
    ohlc_contradiction_rows: int
    zero_volume_rows: int
    stale_rows: int
    dead_rows: int
    jump_rows: int
    unit_error_rows: int
    outside_session_rows: int
    rolls: int
    bad_roll_rows: int
    mean_health: float
    stocks: int
    missing_prices: int
    stocks_that_left: int
    split_rows: int
    has_volume: bool = True
    bad_print_rows: int = 0
    volume_unit_rows: int = 0
    notes: tuple[str, ...] = ()  # how the source was understood, where it was guessed


def build(task: Task) -> BarsFacts:
    """Take the newest bars of the source, and the sentiment that was published beside them.

    Raises:
        TollgateError: they break the contract; nothing is written.
    """
    desk = task.context.desk
    latest = update_bars(task.context).latest
    refuse_old_bars(task.context, latest.facts.end)
    sentiment = read_sentiment(desk.sentiment, PROJECT_ROOT)
    latest.artifact.folder.verify()  # what is linked is sealed again as it lies there
    for name in latest.seal.files:
        link(latest.path / name, task.directory / name)
    if sentiment is not None:
        sentiment.to_parquet(task.directory / SENTIMENT, index=False)
    counts = quality_counts(quality_of(latest))
    del counts["named"]
    return BarsFacts.model_validate(
        counts
        | {
            "rows": latest.facts.rows,
            "symbol": desk.bars.symbol,
            "is_simulated": desk.bars.is_simulated,
            "sentiment_rows": 0 if sentiment is None else len(sentiment),
        }
    )


def quality_counts(report: QualityReport) -> dict[str, object]:
    """The report with each list of rows replaced by its length."""
    counts: dict[str, object] = {}
    for name, value in report.model_dump().items():
        counts[name] = len(value) if isinstance(value, list) and name != "notes" else value
    return counts


def judge(context: DeskContext, bars: Opened[BarsFacts]) -> list[Check]:
    """Warn of a source that meets the contract and is still not good, or stop it."""
    limits = context.desk.quality
    return [
        *checks_of(quality_of(bars), limits),
        judge_history(BARS, context, bars),
        judge_sentiment(context, bars),
    ]


def have_same_news(before: Opened[BarsFacts], bars: Opened[BarsFacts]) -> bool:
    """True if both snapshots have sentiment, from one source as it was set up."""
    sources = [each.seal.settings["sentiment"] for each in (before, bars)]
    has_both = min(before.facts.sentiment_rows, bars.facts.sentiment_rows) > 0
    return has_both and sources[0] == sources[1]


def judge_sentiment(context: DeskContext, bars: Opened[BarsFacts]) -> Check:
    """Warn of news that was added or changed after its time, or stop the chain."""
    name, said, late = "sentiment_came_in_time", "there was none before", 0
    before = snapshot_before(BARS, context, bars)
    if before is not None and have_same_news(before, bars):
        rows = late_rows(before.read_frame(SENTIMENT), bars.read_frame(SENTIMENT))
        late, said = len(rows), "no row of before was added or changed"
        if late:
            said = (
                f"{late:,} rows were added or changed after their time, the first of "
                f"{rows['published'].iloc[0]:%Y-%m-%d %H:%M}: a column known says when they came"
            )
    check = BARS.verdict(name, late == 0, said, rows=late)
    return check.model_copy(update={"is_blocking": context.desk.quality.blocks(name)})


MOST_NAMED = 5
FEWEST_EXITS = 0.01  # of stocks a year; with fewer a universe was most likely picked afterwards


def survivors_verdict(report: QualityReport) -> tuple[bool, str, dict[str, float]]:
    """Whether stocks ever left the universe: one of survivors alone flatters every result."""
    left = report.stocks_that_left
    figures: dict[str, float] = {"stocks": report.stocks, "left": len(left)}
    if report.stocks == 1:
        return True, "one instrument", figures
    years = (pd.Timestamp(report.end) - pd.Timestamp(report.start)).days / 365.25
    rate = len(left) / max(report.stocks * years, 1e-9)
    figures["exits_a_year"] = rate
    if left and rate >= FEWEST_EXITS:
        return True, f"{len(left)} of {report.stocks} stocks left, {rate:.1%} a year", figures
    who = (
        f"only {len(left)} of {report.stocks} stocks left in {years:.0f} years"
        if left
        else f"all {report.stocks} stocks are still listed at the end"
    )
    said = (
        f"{who}: chosen afterwards, as it seems, so every result here is better than anybody could "
        "have had"
    )
    return False, said, figures


def caveats(report: QualityReport, limits: QualityConfig) -> list[str]:
    """What whoever reads a result on these bars must know."""
    refused = [c for c in checks_of(report, limits) if c.is_blocking and not c.passed]
    said = [f"These bars are refused by {check.name}: {check.detail}." for check in refused]
    is_fair, who, _ = survivors_verdict(report)
    return said if is_fair else [*said, f"Survivorship: {who}."]


def checks_of(report: QualityReport, limits: QualityConfig) -> list[Check]:
    """The verdicts on a quality report; what was found is named with its rows."""
    share = report.missing_bars / (report.rows + report.missing_bars)
    verdicts = {
        "few_bars_are_missing": (
            share <= limits.max_missing_share,
            f"{report.missing_bars:,} missing, share {share:.4f}, limit {limits.max_missing_share}",
            {"missing_share": share},
        ),
        "bars_are_healthy": (
            report.mean_health >= limits.min_mean_health,
            f"mean data health {report.mean_health:.4f}, at least {limits.min_mean_health}",
            {"mean_health": report.mean_health},
        ),
        "prices_move": (
            len(report.stale_rows) <= limits.max_stale_share * report.rows,
            f"{len(report.stale_rows):,} of {report.rows:,} bars repeat the prices before them, "
            f"limit {limits.max_stale_share:.0%}"
            + (f": {describe_rows(report.stale_rows)}" if report.stale_rows else ""),
            {"rows": len(report.stale_rows)},
        ),
    }
    for name, (field, meaning) in ROW_CHECKS.items():
        rows: list[int] = getattr(report, field)
        where = f": {describe_rows(rows)}" if rows else ""
        if rows and name in REPAIRS:
            where += f"; quality.repair: [{name}] leaves them out"
        if named := report.named.get(field, []):
            where += f" ({', '.join(named[:MOST_NAMED])}): mend them, or name what is real in "
            where += "bars.known_moves"
        verdicts[name] = (not rows, f"{len(rows)} bars {meaning}{where}", {"rows": len(rows)})
    verdicts["universe_is_not_of_survivors"] = survivors_verdict(report)
    found = {
        name: BARS.verdict(name, *verdicts[name][:2], **verdicts[name][2]) for name in verdicts
    }
    return [
        each.model_copy(update={"is_blocking": limits.blocks(name)}) for name, each in found.items()
    ]


BARS = Step(
    name="bars",
    about="""Bars of the desk's instrument, held to the bar contract.

`timestamp` is a bar's opening time, UTC. A defect stops the chain with its row numbers, and so do
prices in two units and impossible rolls; gaps, stale, zero-volume and jumping bars stand in the
quality report.""",
    facts=BarsFacts,
    build=build,
    reads=("kind", "bars", "quality", "sentiment"),
    ignores=(*LIMITS, "sentiment.max_age_hours"),
    checks=(
        *(
            CheckSpec(name, severity == "block", why)
            for name, (severity, why) in BAR_CHECKS.items()
        ),
    ),
    judge=judge,
    judge_now=lambda context, bars: judge_currency(BARS, context, bars.facts.end),
    follows=(LATEST,),
    judged_by=("quality",),
    table=TABLE,
    technologies=("parquet", "pandas"),
)
