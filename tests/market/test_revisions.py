"""What a source changed in its history is found, bar by bar; what it appended is no change."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_core.base.errors import TollgateError
from rl_core.lab.markets.spot import simulate_bars
from rl_core.market.revisions import compare_snapshots
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext
from rl_core.steps.runner import build, require_checks_passed, verdicts
from tests.conftest import make_bars, small_desk

BARS_200 = simulate_bars(200, seed=1)


def test_a_changed_value_is_told_with_what_was_there() -> None:
    before = make_bars([10.0, 11.0, 12.0, 13.0])
    after = before.copy()
    after.loc[1, "close"] = 11.5
    after.loc[1, "high"] = 11.75
    found = compare_snapshots(before, after)
    assert found.changed_bars == 1
    assert not found.is_unchanged
    assert found.describe() == (
        "1 bars changed (2020-01-01 01:00 high 11 -> 11.75, 2020-01-01 01:00 close 11 -> 11.5)"
    )
    assert found.describe(1).endswith("high 11 -> 11.75 and 1 more values)")


@given(st.integers(10, 199))
def test_what_only_grew_is_unchanged(end: int) -> None:
    found = compare_snapshots(BARS_200.iloc[:end], BARS_200)
    assert found.is_unchanged
    assert found.appended == 200 - end


@given(st.sets(st.integers(0, 149), max_size=5), st.sets(st.integers(0, 149), max_size=5))
def test_bars_that_went_and_came_are_counted(gone: set[int], new: set[int]) -> None:
    before = BARS_200.iloc[:150].drop(index=sorted(new))
    after = BARS_200.iloc[:180].drop(index=sorted(gone - new))
    end = before["timestamp"].max()
    found = compare_snapshots(before, after)
    assert found.removed == len(gone - new)
    assert found.inserted == sum(BARS_200["timestamp"].iloc[row] <= end for row in new)
    assert len(found.changed) == 0


@given(st.integers(0, 149), st.sampled_from(["open", "high", "low", "close", "volume"]))
def test_any_changed_cell_is_found_and_no_other(row: int, column: str) -> None:
    values = BARS_200[column].to_numpy().copy()
    values[row] = np.nextafter(values[row], np.inf)  # by the least there is
    after = BARS_200.assign(**{column: values})
    found = compare_snapshots(BARS_200.iloc[:150], after)
    assert found.changed["column"].tolist() == [column]
    assert found.changed["timestamp"].tolist() == [BARS_200["timestamp"].iloc[row]]


def test_a_panels_bars_are_told_apart_by_symbol() -> None:
    day = pd.Timestamp("2020-01-02", tz="UTC")
    before = pd.DataFrame({"timestamp": [day, day], "symbol": ["A", "B"], "close": [1.0, np.nan]})
    after = before.assign(close=[1.0, 2.0])
    found = compare_snapshots(before, after)
    assert found.changed["symbol"].tolist() == ["B"]
    assert "2020-01-02 00:00 B close nan -> 2" in found.describe()


def test_snapshots_of_a_desk_are_compared_kept_and_the_same_as_from_scratch(tmp_path: Path) -> None:
    path = tmp_path / "bars.parquet"
    bars = simulate_bars(400, seed=2)

    def built(root: str, rows: int, **severity: str) -> tuple[DeskContext, str]:
        bars.iloc[:rows].to_parquet(path, index=False)
        desk = small_desk(path, quality={"severity": severity})
        context = DeskContext.open(desk, tmp_path / root)
        return context, build(context, BARS).identity

    def said(context: DeskContext) -> tuple[bool, str]:
        check = next(c for c in verdicts(context, BARS) if c.name == "history_is_unchanged")
        return check.passed, check.detail

    context, first = built("grown", 300)
    assert said(context) == (True, "there was no snapshot before")
    context, grown = built("grown", 400)
    assert said(context) == (True, "history is what it was, 100 bars were appended")
    assert built("scratch", 400)[1] == grown  # to the bit
    sealed = context.open_artifact(BARS, first)
    sealed.artifact.folder.verify()
    assert len(sealed.read_frame("bars*.parquet")) == 300  # still there
    bars.loc[10, "volume"] = 5.0
    context, _ = built("grown", 400, history_is_unchanged="block")
    passed, detail = said(context)
    assert not passed
    assert "1 bars changed (2015-01-01 10:00 volume" in detail
    with pytest.raises(TollgateError, match="history_is_unchanged"):
        require_checks_passed(context, [BARS])
