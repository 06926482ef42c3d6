"""Bars with defects are left out where a desk says so, and nothing else is."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from rl_core.base.errors import TollgateError
from rl_core.desk import SpotDesk
from rl_core.lab.markets.spot import simulate_bars
from rl_core.market.bars import require_bar_contract
from rl_core.market.readers import as_read
from rl_core.market.repairs import without_impossible
from rl_core.market.settings import PRICE_COLUMNS, QualityConfig
from rl_core.steps.bars import BARS, TABLE
from rl_core.steps.context import DeskContext
from rl_core.steps.runner import build, verdicts

ROW = 700


def change(column: str, value: float, times: float = 0.0) -> Callable[[pd.DataFrame], None]:
    """A column of one bar becomes a value and so many times what it was."""

    def spoil(bars: pd.DataFrame) -> None:
        bars.loc[ROW, column] = value + times * bars[column].to_numpy()[ROW]

    return spoil


def jump(bars: pd.DataFrame) -> None:
    for column in ("close", "high"):
        change(column, 0.0, 3.0)(bars)


def another_unit(bars: pd.DataFrame) -> None:
    for column in PRICE_COLUMNS:
        change(column, 0.0, 100.0)(bars)


def half_past(bars: pd.DataFrame) -> None:
    bars.loc[ROW, "timestamp"] = bars["timestamp"].iloc[ROW] + pd.Timedelta("30min")


zero_price, infinite = change("low", 0.0), change("high", np.inf)
unknown, contradicts = change("volume", np.nan), change("low", 1e4)


def begun(folder: Path, repair: list[str], spoil: Callable[[pd.DataFrame], None]) -> DeskContext:
    bars = simulate_bars(1000, seed=5)
    spoil(bars)
    bars.to_parquet(folder / "bars.parquet", index=False)
    source = {"path": folder / "bars.parquet", "symbol": "XYZ"}
    desk = SpotDesk.model_validate({"name": "d", "bars": source, "quality": {"repair": repair}})
    return DeskContext.open(desk, folder / "data")


@pytest.mark.parametrize(
    ("spoil", "repair"),
    [
        (jump, "no_price_is_a_bad_print"),
        (another_unit, "prices_have_one_unit"),
        (half_past, "bars_lie_on_the_grid"),
        (zero_price, "contract"),
        (infinite, "contract"),
        (unknown, "contract"),
        (contradicts, "contract"),
    ],
)
def test_a_defect_is_left_out_on_request_and_told_and_the_file_stays(
    tmp_path: Path, spoil: Callable[[pd.DataFrame], None], repair: str
) -> None:
    context = begun(tmp_path, [repair], spoil)
    before = (tmp_path / "bars.parquet").read_bytes()
    built = build(context, BARS)
    expected = simulate_bars(1000, seed=5).drop(index=ROW).reset_index(drop=True)
    pd.testing.assert_frame_equal(built.read_frame(TABLE), expected)
    assert any(
        "left out 1 bars with" in n or "left out 1 bars that" in n for n in built.facts.notes
    )
    assert any(f"row {ROW})" in note for note in built.facts.notes)
    assert built.facts.missing_bars == 1
    failed = {check.name for check in verdicts(context, BARS) if not check.passed}
    assert failed == {"bars_are_current"}
    assert (tmp_path / "bars.parquet").read_bytes() == before


def test_without_being_asked_nothing_is_left_out_and_the_way_is_named(tmp_path: Path) -> None:
    context = begun(tmp_path, [], jump)
    assert len(build(context, BARS).read_frame(TABLE)) == 1000
    check = next(c for c in verdicts(context, BARS) if c.name == "no_price_is_a_bad_print")
    assert not check.passed
    assert f"row {ROW}; quality.repair: [no_price_is_a_bad_print] leaves them out" in check.detail
    with pytest.raises(TollgateError, match="must be a finite number > 0"):
        build(begun(tmp_path, ["prices_move"], zero_price), BARS)


def test_a_new_repair_is_a_new_snapshot_and_the_old_one_stays(tmp_path: Path) -> None:
    first = build(begun(tmp_path, [], jump), BARS)
    context = begun(tmp_path, ["no_price_is_a_bad_print"], jump)
    second = build(context, BARS)
    assert len(second.read_frame(TABLE)) == 999
    assert len(context.open_artifact(BARS, first.identity).read_frame(TABLE)) == 1000
    history = next(c for c in verdicts(context, BARS) if c.name == "history_is_unchanged")
    assert "1 bars are gone" in history.detail


def test_all_of_the_bars_are_not_left_out(tmp_path: Path) -> None:
    def all_infinite(bars: pd.DataFrame) -> None:
        bars["high"] = np.inf

    with pytest.raises(TollgateError, match="must leave bars over"):
        build(begun(tmp_path, ["contract"], all_infinite), BARS)


def test_a_repair_that_there_is_not_is_refused() -> None:
    with pytest.raises(ValidationError, match="repair must name defects that can be left out"):
        QualityConfig(repair=("prices_are_adjusted",))


def test_what_is_kept_is_not_left_out_by_what_follows() -> None:
    bars = {"path": "x.csv", "symbol": "XYZ", "keep_history": True}
    quality = {"repair": ["contract", "no_price_is_a_bad_print"]}
    with pytest.raises(ValidationError, match="contract alone, was no_price_is_a_bad_print too"):
        SpotDesk.model_validate({"name": "d", "bars": bars, "quality": quality})
    assert SpotDesk.model_validate({"name": "d", "bars": bars, "quality": {"repair": ["contract"]}})


@given(
    st.lists(
        st.tuples(
            st.integers(0, 59),
            st.sampled_from(["open", "high", "low", "close", "volume"]),
            st.sampled_from([0.0, -1.0, np.nan, np.inf, 1e300, 5e-324, 1e9]),
        ),
        max_size=20,
    )
)
def test_whatever_numbers_stand_there_what_is_left_meets_the_contract(
    cells: list[tuple[int, str, float]],
) -> None:
    bars = simulate_bars(60, seed=2)
    for row, column, value in cells:
        bars.loc[row, column] = value
    left = without_impossible(as_read(bars), QualityConfig(repair=("contract",)))
    require_bar_contract(left.frame)
    touched = {row for row, _, _ in cells}
    assert set(range(60)) - touched <= set(left.row_numbers.tolist())
