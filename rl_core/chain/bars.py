"""bars: the desk's source, held to the bar contract, with its quality report."""

from rl_core.chain import CHAIN
from rl_core.chain.workplace import BARS, SENTIMENT, Workplace
from rl_core.checks import Check
from rl_core.desk import PROJECT_ROOT
from rl_core.features.sentiment import read_sentiment
from rl_core.market.bars import describe_rows
from rl_core.market.quality import QualityReport, assess_quality
from rl_core.market.readers import RawBars, checked_bars, read_raw_bars
from rl_core.registry.lake import Artifact
from rl_core.runtime.files import read_json, write_json

QUALITY = "quality.json"


def read_source(work: Workplace) -> tuple[RawBars, QualityReport]:
    """The desk's source as it is, and what is odd about it, by line or row of the file."""
    desk = work.desk
    raw = read_raw_bars(desk.bars, PROJECT_ROOT)
    report = assess_quality(
        raw.frame,
        desk.bars.interval_ns,
        desk.quality,
        row_numbers=raw.row_numbers,
        was_newest_first=raw.was_newest_first,
        sessions=desk.bars.sessions,
    )
    return raw, report


def build_bars(work: Workplace) -> Artifact:
    """Read, check and seal the bars, and the sentiment that was published beside them.

    Raises:
        TollgateError: they break the contract; nothing is written.
    """
    raw, report = read_source(work)
    bars = checked_bars(raw, work.desk.bars)
    sentiment = read_sentiment(work.desk.sentiment, PROJECT_ROOT)
    metadata = quality_counts(report) | {
        "symbol": work.desk.bars.symbol,
        "is_simulated": work.desk.bars.is_simulated,
        "sentiment_rows": 0 if sentiment is None else len(sentiment),
    }
    with work.lake.build("bars", {}, work.desk.resolved(), metadata) as directory:
        bars.to_parquet(directory / BARS, index=False)
        if sentiment is not None:
            sentiment.to_parquet(directory / SENTIMENT, index=False)
        write_json(directory / QUALITY, report.model_dump())
    return work.lake.load("bars")


def quality_counts(report: QualityReport) -> dict[str, object]:
    """The report with each list of rows replaced by its length."""
    return {
        name: len(value) if isinstance(value, list) else value
        for name, value in report.model_dump().items()
    }


def run_checks(work: Workplace) -> list[Check]:
    """Warn of a source that meets the contract and is still not good."""
    seal = work.lake.load("bars")
    limits = work.desk.quality
    share = seal.metadata["missing_bars"] / (seal.metadata["rows"] + seal.metadata["missing_bars"])
    health = seal.metadata["mean_health"]
    return [
        Check(
            name="few_bars_are_missing",
            passed=share <= limits.max_missing_share,
            is_blocking=CHAIN["bars"]["few_bars_are_missing"],
            detail=f"{seal.metadata['missing_bars']} missing, share {share:.4f}, "
            f"limit {limits.max_missing_share}",
            figures={"missing_share": share},
        ),
        Check(
            name="bars_are_healthy",
            passed=health >= limits.min_mean_health,
            is_blocking=CHAIN["bars"]["bars_are_healthy"],
            detail=f"mean data health {health:.4f}, at least {limits.min_mean_health}",
            figures={"mean_health": health},
        ),
        *row_checks(work),
    ]


ROW_CHECKS = {  # check -> list of rows in the quality report, and what they are
    "prices_have_one_unit": ("unit_error_rows", "with prices off by a power of ten"),
    "the_feed_never_died": ("dead_rows", "in stretches without volume or change"),
    "rolls_are_plausible": ("bad_roll_rows", "that change the contract as no exchange does"),
}


def row_checks(work: Workplace) -> list[Check]:
    """Checks that name the rows of the source which they find."""
    work.lake.load("bars")
    report = read_json(work.lake.path("bars", QUALITY))
    found = {name: report[field] for name, (field, _) in ROW_CHECKS.items()}
    return [
        Check(
            name=name,
            passed=not rows,
            is_blocking=CHAIN["bars"][name],
            detail=f"{len(rows)} bars {ROW_CHECKS[name][1]}"
            + (f": {describe_rows(rows)}" if rows else ""),
            figures={"rows": len(rows)},
        )
        for name, rows in found.items()
    ]
