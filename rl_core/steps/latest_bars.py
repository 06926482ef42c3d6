"""latest_bars: the newest bars of a desk's source, updated every hour, beside the chain.

The chain stands on the bars that `bars` took when it was built, and is not disturbed while these
move on.
"""

import logging
from dataclasses import dataclass
from typing import Any

import pandas as pd

from rl_core.base.checks import Check, CheckSpec
from rl_core.base.errors import TollgateError, validated
from rl_core.base.files import write_json
from rl_core.market.quality import QualityReport
from rl_core.market.revisions import Revisions, compare_snapshots
from rl_core.market.sessions import bars_since
from rl_core.market.settings import BAR_CHECKS
from rl_core.steps.context import DeskContext, Opened, Task
from rl_core.steps.runner import build as build_step
from rl_core.steps.sections import LIMITS
from rl_core.steps.source import Source, read_source
from rl_core.steps.step import Facts, Step
from rl_core.store.parts import write_parts

STEM, QUALITY = "bars", "quality.json"
TABLE = "bars*.parquet"  # in parts; in one file until schema 4
CURRENCY_CHECK, HISTORY_CHECK = "bars_are_current", "history_is_unchanged"

log = logging.getLogger(__name__)


class LatestFacts(Facts):
    """How many bars there are, and how far they reach."""

    rows: int
    start: str
    end: str
    symbol: str
    is_complete: bool  # False: a download is under way, and goes on at the next update


def build(task: Task) -> LatestFacts:
    """Read the source, and join it to what the last update had if the desk keeps that.

    Raises:
        TollgateError: the source cannot be read, or its bars break the contract.
    """
    context, desk = task.context, task.context.desk
    last = latest_of(context)
    before = None
    if desk.bars.grows and last is not None:
        if other := difference(context, last):
            log.warning("%s is another one than at the last update: bars begin anew", other)
        else:
            before = last.read_frame(TABLE)
    source = read_source(desk, before)
    bars = source.checked()
    write_bars(bars, task, last)
    write_json(task.directory / QUALITY, source.report.model_dump())
    return LatestFacts(
        rows=bars["timestamp"].nunique(),
        start=str(bars["timestamp"].min()),
        end=str(bars["timestamp"].max()),
        symbol=desk.bars.symbol,
        is_complete=source.is_complete,
    )


def write_bars(bars: pd.DataFrame, task: Task, earlier: Opened[Any] | None) -> None:
    """Write bars into a draft, in parts; those that earlier bars have too are shared with them."""
    interval_ns = task.context.desk.bars.interval_ns
    write_parts(bars, task.directory, STEM, interval_ns, earlier and earlier.artifact.folder)


def latest_of(context: DeskContext) -> Opened[LatestFacts] | None:
    """The bars of the last update; None if there was none.

    Raises:
        TollgateError: they were changed or are gone, and the source may not hold them any more.
    """
    if not context.artifacts.has(LATEST.name):
        return None
    try:
        return context.open_artifact(LATEST)
    except TollgateError as error:
        if context.desk.bars.grows:
            raise
        log.warning("the last update is left aside, since the source has all bars: %s", error)
        return None


# settings that say where the bars come from and how they are laid out, and not what they mean
OF_PLACES = {
    "path", "url", "query", "format", "table", "columns", "names", "delimiter", "decimal",
    "skip_rows", "sort", "drop_duplicates", "known_moves", "keep_history", "revisions",
    "timestamp_format", "sessions", "ambiguous", "timestamp_unit",
}  # fmt: skip
OF_ASKING = {"since", "overlap_bars", "options"}


def difference(context: DeskContext, last: Opened[LatestFacts]) -> str | None:
    """The first setting by which bars of an update mean other things than the desk's do now."""
    sealed = last.seal.settings["bars"]
    now = context.desk.resolved()["bars"]
    for name in sorted(set(now) - OF_PLACES):
        then, wanted = sealed.get(name), now[name]
        if name == "download" and then and wanted:
            if str(wanted["since"]) < str(then["since"]):
                return "bars.download.since"
            then, wanted = (
                {key: each[key] for key in each if key not in OF_ASKING} for each in (then, wanted)
            )
        if then != wanted:
            return f"bars.{name}"
    return None


def is_same_market(context: DeskContext, last: Opened[LatestFacts]) -> bool:
    """True if bars of an update are of what the desk is on now, and may be joined and used."""
    return difference(context, last) is None


def refuse_revisions(context: DeskContext, opened: Opened[LatestFacts]) -> None:
    """Refuse bars whose history differs from the last update's, if the desk says so.

    Raises:
        TollgateError: names the bars, with their old and new values; nothing has moved.
    """
    last = latest_of(context)
    wanted = getattr(context.desk.bars, "revisions", "accept")
    if wanted == "accept" or last is None or not is_same_market(context, last):
        return
    revisions = compare_snapshots(last.read_frame(TABLE), opened.read_frame(TABLE))
    if not revisions.is_unchanged:
        raise TollgateError(
            f"history of desk {context.desk.name} must stay what it was (bars.revisions: refuse), "
            f"was changed by the source: {revisions.describe()}. The bars of before are kept; "
            f"tollgate bars update --desk {context.desk.name} --accept-revisions takes the change"
            + (", bars.keep_history keeps what is gone there" if revisions.removed else "")
        )


@dataclass(frozen=True)
class Update:
    """The bars after an update, and what changed."""

    latest: Opened[LatestFacts]
    revisions: Revisions | None  # against the last update; None if there was none
    is_new: bool  # False: the bars are what they were


def update_bars(context: DeskContext) -> Update:
    """Bring the newest bars of the desk's source in, until none is left to be had.

    Raises:
        TollgateError: the source cannot be read, its bars break the contract, or they change a
            history that the desk does not let be changed.
    """
    last = latest_of(context)
    while True:
        found = build_step(context, LATEST)
        if found.facts.is_complete:
            break
        log.info("%s: %s bars, up to %s", LATEST.name, f"{found.facts.rows:,}", found.facts.end)
    revisions = None
    if last is not None and is_same_market(context, last):
        revisions = compare_snapshots(last.read_frame(TABLE), found.read_frame(TABLE))
    is_new = last is None or parts_of(last) != parts_of(found)
    return Update(found, revisions, is_new)


def parts_of(latest: Opened[LatestFacts]) -> dict[str, str]:
    """Name of each part -> SHA-256: what the bars are, whatever is said of them."""
    return {name: latest.seal.files[name] for name in latest.artifact.parts(TABLE)}


def bars_are_due(context: DeskContext) -> bool:
    """True if a bar has closed since the newest one that is there, or none is there.

    Raises:
        TollgateError: the bars of the last update were changed.
    """
    last = latest_of(context)
    return last is None or not last.facts.is_complete or bars_late(context, last.facts.end) > 0


def newest_source(context: DeskContext) -> Source:
    """The source of a desk as it is now, or as the last update had it if it grows.

    Raises:
        TollgateError: it cannot be read, or was never updated.
    """
    if not context.desk.bars.grows:
        return read_source(context.desk)
    last = latest_of(context)
    if last is None or not is_same_market(context, last):
        raise TollgateError(
            f"bars of desk {context.desk.name} must have been brought in, were not: run "
            f"tollgate bars update --desk {context.desk.name}"
        )
    return Source(quality_of(last), lambda: last.read_frame(TABLE))


def quality_of(bars: Opened[Any]) -> QualityReport:
    """The quality report that was sealed with bars."""
    return validated(QualityReport, bars.read_json(QUALITY), f"{QUALITY} of {bars.seal.name}")


def bars_late(context: DeskContext, end: str) -> int:
    """How many bars have closed since one that opened then, by the market's hours."""
    config, now = context.desk.bars, pd.Timestamp.now("UTC")
    return bars_since(config.hours, pd.Timestamp(end).value, now.value, config.interval_ns)


def currency(context: DeskContext, end: str) -> tuple[bool, str, dict[str, int]]:
    """Whether the newest bar is as new as the market's hours allow, in words, and by how many bars.

    Args:
        context: the desk.
        end: time at which the newest bar opened.
    """
    config, limit = context.desk.bars, context.desk.quality.max_bars_late
    if config.is_simulated:
        return True, "a simulated market is never late", {}
    late = bars_late(context, end)
    said = (
        f"{late:,} bars of {config.interval} have closed since the newest, "
        f"{pd.Timestamp(end):%Y-%m-%d %H:%M} UTC; limit {limit}"
    )
    return late <= limit, said, {"bars_late": late}


def judge_currency(step: Step[Any], context: DeskContext, end: str) -> list[Check]:
    """Warn of bars that no longer come in; a chain that takes long is not stopped by the clock."""
    passed, said, figures = currency(context, end)
    return [step.verdict(CURRENCY_CHECK, passed, said, **figures)]


def judge_history(step: Step[Any], context: DeskContext, bars: Opened[Any]) -> Check:
    """Warn of old bars that differ from those of the snapshot before, or stop the chain."""
    found, detail = True, "there was no snapshot before"
    before = snapshot_before(step, context, bars)
    if before is not None:
        revisions = compare_snapshots(before.read_frame(TABLE), bars.read_frame(TABLE))
        found, detail = revisions.is_unchanged, revisions.describe()
    check = step.verdict(HISTORY_CHECK, found, detail)
    return check.model_copy(update={"is_blocking": context.desk.quality.blocks(HISTORY_CHECK)})


def snapshot_before(step: Step[Any], context: DeskContext, bars: Opened[Any]) -> Opened[Any] | None:
    """The bars of the same market that were sealed last before these; None if there are none."""
    earlier: list[tuple[str, str]] = []
    for identity in context.artifacts.identities(step.name):
        other = context.artifacts.open(step.name, identity)
        same = other.seal.settings["bars"]["symbol"] == bars.seal.settings["bars"]["symbol"]
        if same and identity != bars.identity and other.seal.created_at <= bars.seal.created_at:
            earlier.append((other.seal.created_at, identity))
    return context.open_artifact(step, max(earlier)[1]) if earlier else None


def refuse_old_bars(context: DeskContext, end: str) -> None:
    """Refuse to begin a chain on bars that no longer come in, if the desk says so.

    Raises:
        TollgateError: more bars than allowed have closed since the newest.
    """
    passed, said, _ = currency(context, end)
    if not passed and context.desk.quality.blocks(CURRENCY_CHECK):
        raise TollgateError(
            f"bars of desk {context.desk.name} must be current, was refused: {said}"
        )


LATEST = Step(
    name="latest_bars",
    about="""The newest bars of the desk's source, updated by themselves beside the chain.

In parts that never change: an update writes the last part anew and shares the others with the
update before. The chain stands on the bars that `bars` took, and notices nothing.""",
    facts=LatestFacts,
    build=build,
    reads=("kind", "bars", "quality"),
    ignores=LIMITS,
    checks=tuple(
        CheckSpec(name, False, BAR_CHECKS[name][1]) for name in (HISTORY_CHECK, CURRENCY_CHECK)
    ),
    judge=lambda context, latest: [judge_history(LATEST, context, latest)],
    judged_by=("quality",),
    judge_now=lambda context, latest: judge_currency(LATEST, context, latest.facts.end),
    before_use=refuse_revisions,
    moves=True,
    is_in_chain=False,
    command="bars update",
    table=TABLE,
    technologies=("parquet", "pandas"),
)
