"""backtest_history: what the teacher decided at every bar, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.base.checks import Check, CheckSpec
from rl_core.base.errors import TollgateError
from rl_core.base.files import write_json
from rl_core.desk import DeskConfig
from rl_core.features.prepare import PreparedMarket
from rl_core.kinds.registry import kind_of
from rl_core.market.bars import describe_rows
from rl_core.market.settings import Split
from rl_core.market.splits import split_bars
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext, Opened, Task
from rl_core.steps.reading import THRESHOLDS, read_bars, read_sentiment
from rl_core.steps.sections import ACCOUNT, LIMITS, MARKET
from rl_core.steps.step import Facts, Step
from rl_core.teacher.vote import Vote
from rl_core.trading.performance import Performance

TABLE = "history.parquet"
BOOKKEEPING_ERROR = 1e-9  # relative
CAPPED = 0.9  # of the largest impact: a fill that costs more than that pays it
MOST_CAPPED = 0.5  # of the fills may pay the largest impact


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
    others = {  # their figures alone: the records of millions of bars would weigh half a gigabyte
        name: walk.performance
        for name, walk in kind.benchmarks(market, span.start, span.stop - span.start).items()
    }
    vote = kind.vote(market).take(span)
    own = kind.walk(market, span.start, vote.action, vote.strength)
    traded = market.bars.iloc[span].reset_index(drop=True)
    return Backtest(
        market=market,
        records=decision_records(traded, vote, own.records, market.regime[span]),
        performance={"ensemble": own.performance, **others},
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


class HistoryFacts(Facts):
    """How the teacher's account did beside its benchmarks."""

    decisions: int
    first_bar: int  # with a complete state
    performance: dict[str, Performance]  # of `ensemble`, `buy_and_hold` and other benchmarks


def build(task: Task) -> HistoryFacts:
    """Let the teacher trade all bars and write its decisions down."""
    bars = task.input(BARS)
    backtest = run_backtest(task.context.desk, read_bars(bars), read_sentiment(bars))
    backtest.records.to_parquet(task.directory / TABLE, index=False)
    write_json(task.directory / THRESHOLDS, backtest.market.thresholds.model_dump())
    return HistoryFacts(
        decisions=len(backtest.records),
        first_bar=backtest.market.first_bar,
        performance=backtest.performance,
    )


def judge(context: DeskContext, history: Opened[HistoryFacts]) -> list[Check]:
    """The books balance, and the teacher trades at prices that somebody could have had."""
    records = history.read_frame(TABLE)
    marked = context.kind.book_errors(records)
    trades = history.facts.performance["ensemble"].annual_turnover > 0
    capped = capped_share(records, context.kind.largest_impact)
    rows = np.flatnonzero(marked > BOOKKEEPING_ERROR)
    detail = f"differs in {describe_rows(rows)}" if len(rows) else "holds at every decision"
    return [
        HISTORY.verdict(
            "equity_is_cash_and_holdings", not len(rows), detail,
            largest_error=float(marked.max()),
        ),
        HISTORY.verdict(
            "the_teacher_trades", trades,
            "it does" if trades else f"not once in {len(records):,} bars: {usual_reasons(records)}",
        ),
        HISTORY.verdict(
            "fills_are_not_capped", capped <= MOST_CAPPED,
            f"{capped:.1%} of its fills pay the largest impact there is, at most {MOST_CAPPED:.0%}"
            + (": look at the bars' volume, in units of the instrument, or set bars.volume: none"
               if capped > MOST_CAPPED else ""),
            capped_share=capped,
        ),
    ]  # fmt: skip


def capped_share(records: pd.DataFrame, largest_impact: float | None) -> float:
    """Share of the fills, 0..1, that cost as much as the largest impact; 0 where there is none."""
    if largest_impact is None:
        return 0.0
    value = (records["traded_units"].abs() * records["fill_price"]).to_numpy()
    filled = np.nan_to_num(value) > 0
    rate = records["cost"].to_numpy()[filled] / value[filled]
    # the fill's price moved away by the impact: the cost is a little less of it
    return float((rate >= CAPPED * largest_impact).mean()) if filled.any() else 0.0


def usual_reasons(records: pd.DataFrame) -> str:
    """What each analyst says most often, and how often."""
    found: list[str] = []
    for column in records.columns[records.columns.str.endswith("_reason")]:
        shares = records[column].value_counts(normalize=True)
        said = f"{shares.index[0]} ({shares.iloc[0]:.0%})"
        found.append(f"{column.removesuffix('_reason')} says {said}")
    return ", ".join(found)


HISTORY = Step(
    name="backtest_history",
    about="""One row per decision of the rule-based teacher.

Every analyst's action, strength, weight and reason; the vote; the account at the decision; the fill
at the next open with its costs. The figures compare it with buy and hold.""",
    facts=HistoryFacts,
    build=build,
    needs=(BARS,),
    reads=(*MARKET, *ACCOUNT, "ensemble"),
    ignores=LIMITS,
    checks=(
        CheckSpec(
            "equity_is_cash_and_holdings", True,
            "Accounts that do not add up: a fault of the engine, never of the data.",
        ),
        CheckSpec(
            "the_teacher_trades", True,
            "A teacher that never trades teaches nothing: the reason stands beside it.",
        ),
        CheckSpec(
            "fills_are_not_capped", True,
            "Fills at the cap of the impact law: volume in a wrong unit, or none at all.",
        ),
    ),
    judge=judge,
    table=TABLE,
    technologies=("parquet", "numba"),
)  # fmt: skip


def decision_records(
    bars: pd.DataFrame, vote: Vote, account: Mapping[str, NDArray[Any]], regime: np.ndarray
) -> pd.DataFrame:
    """Table of decisions.

    Columns: `timestamp`, `close`, `regime`; `<analyst>_action`, `_strength`, `_weight`, `_reason`;
    the vote's `action` and `strength`; then what the account says.

    Args:
        bars: (B,) that were decided at.
        vote: the decisions.
        account: (B,) columns: the account at each decision, and what came of the decision.
        regime: (B,).
    """
    columns: dict[str, object] = {
        "timestamp": bars["timestamp"],
        "close": bars["close"],
        "regime": regime,
    }
    for name, signal in vote.signals.items():
        columns[f"{name}_action"] = signal.action
        columns[f"{name}_strength"] = signal.strength
        columns[f"{name}_weight"] = np.full(len(bars), vote.weights[name])
        columns[f"{name}_reason"] = pd.Categorical.from_codes(
            signal.reason, dtype=pd.CategoricalDtype(list(signal.reasons))
        )
    columns |= {
        "action": vote.action,
        "strength": vote.strength,
        **account,
    }
    return pd.DataFrame(columns, copy=False)
