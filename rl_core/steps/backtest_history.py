"""backtest_history: what the ensemble decided at every bar, and what came of it."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError
from rl_core.base.files import write_json
from rl_core.desk import DeskConfig
from rl_core.features.prepare import PreparedMarket
from rl_core.kinds.records import decision_records
from rl_core.kinds.registry import kind_of
from rl_core.market.bars import describe_rows
from rl_core.market.settings import Split
from rl_core.market.splits import split_bars
from rl_core.steps import CHAIN
from rl_core.steps.context import THRESHOLDS, Workplace
from rl_core.store.artifacts import Artifact
from rl_core.trading.performance import Performance

BOOKKEEPING_ERROR = 1e-9  # relative


@dataclass(frozen=True)
class Backtest:
    """The ensemble's run over some bars, beside its benchmarks."""

    market: PreparedMarket
    records: pd.DataFrame  # one row per decision
    performance: dict[str, Performance]  # ensemble, buy_and_hold and other benchmarks


def run_backtest(
    desk: DeskConfig,
    bars: pd.DataFrame,
    sentiment: pd.DataFrame | None,
    start: str | None = None,
    end: str | None = None,
) -> Backtest:
    """Let the ensemble trade.

    Args:
        desk: the desk.
        bars: all its bars, as sealed: thresholds are fitted on the training part of them.
        sentiment: published rows, or None without a source.
        start: first day of trading, UTC, or None for the first complete state.
        end: last day, included, or None for the last bar.

    Raises:
        TollgateError: a date outside the bars.
    """
    kind = kind_of(desk)
    market = kind.prepare(bars, sentiment, None)
    span = trading_span(market.bars["timestamp"], market.first_bar, start, end)
    vote = kind.vote(market).take(span)
    own = kind.walk(market, span.start, vote.action, vote.strength)
    others = kind.benchmarks(market, span.start, len(vote.action))
    traded = market.bars.iloc[span].reset_index(drop=True)
    return Backtest(
        market=market,
        records=decision_records(traded, vote, own.records, market.regime[span]),
        performance={
            "ensemble": own.performance,
            **{name: walk.performance for name, walk in others.items()},
        },
    )


def in_sample_until(desk: DeskConfig, market: PreparedMarket) -> pd.Timestamp:
    """Last bar that the regime thresholds were fitted on: decisions up to it are in-sample."""
    train = split_bars(market.horizon_ns, desk.splits) == Split.TRAIN
    return market.bars["timestamp"][train].iloc[-1]


def trading_span(
    timestamps: pd.Series, first_bar: int, start: str | None, end: str | None
) -> slice:
    """Bars from `start` to the end of the day `end`, as far as their states are complete.

    Raises:
        TollgateError: a date that is none, outside the bars, or a span of fewer than two bars.
    """
    first, last = timestamps.iloc[0], timestamps.iloc[-1]
    try:
        begin = first if start is None else pd.Timestamp(start, tz="UTC")
        stop = last if end is None else pd.Timestamp(end, tz="UTC")
    except ValueError:
        given = " and ".join(date for date in (start, end) if date is not None)
        raise TollgateError(f"dates must read like 2019-01-31, was {given}") from None
    for name, given, is_outside in (
        ("start", start, begin > last), ("end", end, stop < first.normalize()),
    ):  # fmt: skip
        if is_outside:
            raise TollgateError(
                f"{name} date must lie within the bars, {first:%Y-%m-%d} to {last:%Y-%m-%d}, "
                f"was {given}"
            )
    if begin > stop:
        raise TollgateError(f"start date must not be after end date, was {start} and {end}")
    if end is not None and stop == stop.normalize():
        stop += pd.Timedelta(days=1) - pd.Timedelta(1, "ns")
    low = max(int(timestamps.searchsorted(begin)), first_bar)
    high = int(timestamps.searchsorted(stop, side="right"))
    if high - low < 2:
        raise TollgateError(
            f"the span must hold at least 2 bars after the warm-up of {first_bar}, "
            f"was {max(high - low, 0)}"
        )
    return slice(low, high)


def build_backtest_history(work: Workplace) -> Artifact:
    """Run the ensemble over all bars and seal its decisions."""
    inputs = work.inputs("bars")
    backtest = run_backtest(work.desk, work.read_bars(), work.read_sentiment())
    metadata = {
        "decisions": len(backtest.records),
        "first_bar": backtest.market.first_bar,
        **{name: p.model_dump() for name, p in backtest.performance.items()},
    }
    with work.lake.build("backtest_history", inputs, work.desk.resolved(), metadata) as directory:
        backtest.records.to_parquet(directory / "history.parquet", index=False)
        write_json(directory / THRESHOLDS, backtest.market.thresholds.model_dump())
    return work.lake.load("backtest_history")


def run_checks(work: Workplace) -> list[Check]:
    """The books balance: equity is cash and holdings, and only fills and costs change cash."""
    history = pd.read_parquet(work.lake.path("backtest_history", "history.parquet"))
    marked = work.kind.book_errors(history)
    rows = np.flatnonzero(marked > BOOKKEEPING_ERROR)
    return [
        Check(
            name="equity_is_cash_and_holdings",
            passed=not len(rows),
            is_blocking=CHAIN["backtest_history"]["equity_is_cash_and_holdings"],
            detail=f"differs in {describe_rows(rows)}" if len(rows) else "holds at every decision",
            figures={"largest_error": float(marked.max())},
        )
    ]
