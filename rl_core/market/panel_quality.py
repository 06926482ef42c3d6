"""The quality report of a panel: prices that were not adjusted, stocks that stand still, survivors.

Shapes: T sessions, S stocks.
"""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from rl_core.market.oddities import distance_to_split
from rl_core.market.panel import Listing, Panel, RawPanel, date_of, listing
from rl_core.market.quality import MAX_UNIT_ERROR, Gap, QualityReport
from rl_core.market.rolling import row_medians, trailing_sum
from rl_core.market.sessions import session_days
from rl_core.market.settings import PanelConfig, QualityConfig

Array = NDArray[np.float64]
Flags = NDArray[np.bool_]

# |log| around a split's ratio, once the day's median move is taken off: what a stock may have moved
# by itself that day, 2.5 sd of its last 60 moves within these bounds
SPLIT_TOLERANCE = (0.04, 0.08)
SPLIT_SDS, SPLIT_MEMORY = 2.5, 60
FEWEST_FOR_A_MEDIAN = 5  # stocks: in fewer a split is the median
DEAD_SESSIONS = 2  # in which no price of the whole universe changes


def assess_panel(raw: RawPanel, config: PanelConfig, limits: QualityConfig) -> QualityReport:
    """Look for what is odd about a panel that meets the contract."""
    panel, rows = raw.panel, raw.rows
    listed = listing(panel.close, config.delisted_after_sessions)
    move = moves(panel.close, listed)
    known = known_moves(panel, config)
    splits = split_suspects(move) & ~known
    volume = panel.measures.get("volume")
    stale = _stale(panel.close, listed, limits.dead_bars)

    def in_file(cells: Flags) -> list[int]:
        return np.unique(rows[cells & (rows >= 0)]).tolist()

    def in_words(cells: Flags) -> list[str]:
        return [
            f"{panel.symbols[stock]} {date_of(panel.ns[session])} {move[session, stock]:+.1%}"
            for session, stock in np.argwhere(cells)
        ]

    left = ~listed.is_listed[-1]
    return QualityReport(
        rows=len(panel.ns),
        start=str(pd.Timestamp(panel.ns[0], tz="UTC")),
        end=str(pd.Timestamp(panel.ns[-1], tz="UTC")),
        was_newest_first=raw.was_newest_first,
        gaps=_gaps(panel, config.calendar),
        missing_bars=int(panel.session[-1] + 1 - len(panel.session)),
        off_grid_rows=[],
        duplicate_rows=[],
        unsorted_rows=[],
        ohlc_contradiction_rows=[],
        zero_volume_rows=[] if volume is None else in_file(volume == 0),
        stale_rows=in_file(stale),
        dead_rows=in_file(_dead(move, listed)),
        jump_rows=in_file(np.abs(np.nan_to_num(move)) > limits.jump_return),
        unit_error_rows=in_file(_unit_errors(panel.close, listed, known)),
        outside_session_rows=[],
        rolls=0,
        bad_roll_rows=[],
        mean_health=float(panel_health(panel.close, listed, limits).mean()),
        stocks=len(panel.symbols),
        missing_prices=int((listed.is_listed & ~listed.trades).sum()),
        stocks_that_left=[name for name, gone in zip(panel.symbols, left, strict=True) if gone],
        split_rows=in_file(splits),
        notes=list(raw.notes),
        named={
            "split_rows": in_words(splits),
            "unit_error_rows": in_words(steps_of_ten(panel.close, listed, known) != 0),
        },
    )


def moves(close: Array, listed: Listing) -> Array:
    """Return since the last price, (T, S); NaN where there is none now or before."""
    before = np.vstack([np.full((1, close.shape[1]), np.nan), listed.price[:-1]])
    was_listed = np.vstack([np.zeros((1, close.shape[1]), dtype=bool), listed.is_listed[:-1]])
    return np.where(listed.trades & was_listed, close / before - 1, np.nan)


def known_moves(panel: Panel, config: PanelConfig) -> Flags:
    """Moves that the desk says are real, (T, S), however they look."""
    known = np.zeros(panel.close.shape, dtype=bool)
    for symbol, days in config.known_moves.items():
        if symbol in panel.symbols:
            moved = np.isin(panel.ns, [pd.Timestamp(day).value for day in days])
            known[moved, panel.symbols.index(symbol)] = True
    return known


def split_suspects(move: Array) -> Flags:
    """Moves that look like a split which the prices were not adjusted for, (T, S)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = np.log1p(move)
        common = np.nan_to_num(row_medians(growth))
        own = growth - (common[:, None] if move.shape[1] >= FEWEST_FOR_A_MEDIAN else 0.0)
        return distance_to_split(own) < _usual_moves(own)


def _usual_moves(own: Array) -> Array:
    """How far a stock may move by itself, (T, S), by its moves before; outliers do not count."""
    small = np.clip(np.nan_to_num(own), -SPLIT_TOLERANCE[1], SPLIT_TOLERANCE[1])
    known = np.maximum(trailing_sum(np.isfinite(own), SPLIT_MEMORY), 1)
    deviation = np.sqrt(np.maximum(trailing_sum(small**2, SPLIT_MEMORY), 0) / known)
    before = np.vstack([np.zeros((1, own.shape[1])), deviation[:-1]])
    return np.clip(SPLIT_SDS * before, *SPLIT_TOLERANCE)


def panel_health(close: Array, listed: Listing, limits: QualityConfig) -> Array:
    """Share of sound prices among those of listed stocks in the trailing window, (T,) in 0..1.

    A missing, dead or jumping price is not sound.
    """
    sound = listed.trades & ~_stale(close, listed, limits.dead_bars)
    sound &= ~(np.abs(np.nan_to_num(moves(close, listed))) > limits.jump_return)
    window = limits.health_window_bars
    return trailing_sum(sound.sum(axis=1), window) / np.maximum(
        trailing_sum(listed.is_listed.sum(axis=1), window), 1
    )


def _gaps(panel: Panel, calendar: str) -> list[Gap]:
    """Runs of sessions that the file does not have."""
    days = session_days(calendar, int(panel.ns[0]), int(panel.ns[-1]))
    before = np.flatnonzero(np.diff(panel.session) > 1)
    return [
        Gap(
            start=date_of(days[panel.session[row] + 1]),
            bars=int(panel.session[row + 1] - panel.session[row] - 1),
        )
        for row in before
    ]


def _stale(close: Array, listed: Listing, run_length: int) -> Flags:
    """Prices that have not changed for so many sessions, (T, S)."""
    same = np.nan_to_num(moves(close, listed), nan=1.0) == 0
    position = np.arange(len(close))[:, None]
    changed = np.maximum.accumulate(np.where(same, 0, position), axis=0)
    return same & (position - changed + 1 >= run_length)


def _dead(move: Array, listed: Listing) -> Flags:
    """Prices of runs of sessions in which no stock's price changes, (T, S)."""
    known = np.isfinite(move)
    is_still = known.any(axis=1) & (np.nan_to_num(move) == 0).all(axis=1)
    run = np.cumsum(np.concatenate([[True], is_still[1:] != is_still[:-1]])) - 1
    is_dead = is_still & (np.bincount(run)[run] >= DEAD_SESSIONS)
    return listed.trades & is_dead[:, None]


def steps_of_ten(close: Array, listed: Listing, known: Flags) -> Array:
    """Powers of ten by which each price steps away from the one before, (T, S); mostly 0."""
    steps = np.diff(np.log10(listed.price), axis=0)
    powers = np.where(np.abs(steps - np.round(steps)) < MAX_UNIT_ERROR, np.round(steps), 0)
    powers[~listed.is_listed[:-1] | known[1:]] = 0  # what stands before a first price is none
    return np.vstack([np.zeros((1, close.shape[1])), powers])


def _unit_errors(close: Array, listed: Listing, known: Flags) -> Flags:
    """Prices a power of ten away from most others of the stock, (T, S)."""
    unit = np.cumsum(steps_of_ten(close, listed, known), axis=0)
    unit = np.where(listed.trades, unit, np.nan)
    return listed.trades & (unit != np.nanmedian(unit, axis=0))
