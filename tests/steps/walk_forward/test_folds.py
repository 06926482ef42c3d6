"""Folds: purged and embargoed on both sides, complete, and stable when bars are added."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_core.base.errors import TollgateError
from rl_core.judging.settings import WalkForwardConfig
from rl_core.market.settings import Split, SplitConfig
from rl_core.market.splits import split_bars
from rl_core.offline.validation import overlapping_rows
from rl_core.steps.walk_forward.folds import make_folds, paths_of

HOUR = 3_600_000_000_000
EXPANDING = WalkForwardConfig(train="10d", test="5d", embargo="6h")


def hours(count: int) -> np.ndarray:
    return np.arange(count, dtype=np.int64) * HOUR


def test_expanding_folds_by_hand() -> None:
    folds = make_folds(hours(24 * 21), 20, EXPANDING)
    assert [fold.name for fold in folds] == ["expanding_00", "expanding_01"]
    first = [(span.part, span.first, span.last) for span in folds[0].spans]
    # 240 bars before it, 20 of them warm-up; 15% of 220 validate; 120 are tested on
    assert first == [(0, 20, 206), (1, 207, 239), (2, 240, 359)]
    assert [span.first for span in folds[1].spans] == [20, 309, 360]


def test_rolling_folds_forget_what_is_old() -> None:
    rolling = EXPANDING.model_copy(update={"scheme": "rolling"})
    last = make_folds(hours(24 * 31), 20, rolling)[-1]
    assert last.spans[0].first == last.test[0].first - 240


@given(st.integers(16, 60), st.integers(1, 30), st.sampled_from(["expanding", "rolling"]))
def test_bars_that_come_later_add_folds_and_change_none(days: int, more: int, scheme: str) -> None:
    config = WalkForwardConfig.model_validate({**EXPANDING.model_dump(), "scheme": scheme})
    before = make_folds(hours(24 * days), 20, config)
    after = make_folds(hours(24 * (days + more)), 20, config)
    assert after[: len(before)] == before


@given(
    st.lists(st.integers(1, 5), min_size=900, max_size=1200),
    st.sampled_from(["expanding", "rolling", "combinatorial"]),
    st.integers(1, 24),
    st.integers(0, 12),
)
def test_no_label_reaches_another_part_on_either_side(
    steps: list[int], scheme: str, purge: int, embargo: int
) -> None:
    ns = np.cumsum(steps, dtype=np.int64) * HOUR  # with holes
    config = WalkForwardConfig.model_validate(
        {**EXPANDING.model_dump(), "scheme": scheme, "train": "20d", "test": "10d"}
    )
    for fold in make_folds(ns, 20, config):
        split = split_bars(
            ns, SplitConfig(purge=f"{purge}h", embargo=f"{embargo}h", spans=fold.spans)
        )
        assert len(overlapping_rows(ns, split, purge * HOUR)) == 0
        assert len(overlapping_rows(ns, split, (purge + embargo) * HOUR)) == 0
        tested = [np.arange(span.first, span.last + 1) for span in fold.test]
        assert (split[np.concatenate(tested)] == Split.TEST).all()  # test gives no bar away


def test_the_border_after_a_test_span_is_kept_free_too() -> None:
    config = WalkForwardConfig(scheme="combinatorial", groups=3, test_groups=1)
    middle = make_folds(hours(300), 0, config)[1]
    split = split_bars(hours(300), SplitConfig(purge="2h", embargo="3h", spans=middle.spans))
    assert (split[95:100] == Split.PURGED).all()
    assert (split[100:200] == Split.TEST).all()
    assert (split[200:205] == Split.PURGED).all()
    assert split[94] == split[205] == Split.TRAIN


def test_combinatorial_folds_leave_every_pair_out_once_and_make_five_paths() -> None:
    config = WalkForwardConfig(scheme="combinatorial")
    folds = make_folds(hours(3000), 33, config)
    assert [fold.groups for fold in folds[:2]] == [(0, 1), (0, 2)]
    assert len(folds) == 15  # 6 over 2
    paths = paths_of(folds)
    assert len(paths) == 5  # Lopez de Prado (2018), section 12.3: 2/6 x 15
    used = [pair for path in paths for pair in path]
    assert len(used) == len(set(used)) == 30
    assert all([group for _, group in path] == list(range(6)) for path in paths)
    for fold in folds:
        covered = sum(span.last - span.first + 1 for span in fold.spans)
        assert covered == 3000 - 33


def test_too_few_bars_for_a_fold_are_an_error() -> None:
    with pytest.raises(TollgateError, match=r"must hold 10d to train on and 5d .* was 10 days"):
        make_folds(hours(24 * 10), 20, EXPANDING)


def test_rows_that_overlap_are_found() -> None:
    clock = hours(6)
    split = np.array([0, 0, 3, 2, 2, 0], dtype=np.int8)
    # row 1 is two hours before the test, rows 3 and 4 at most two before training goes on
    assert overlapping_rows(clock, split, 2 * HOUR).tolist() == [1, 3, 4]
    assert overlapping_rows(clock, split, HOUR).tolist() == [4]


@pytest.mark.parametrize(
    "wrong", [{"validation_fraction": 0.5}, {"seeds": (1, 1)}, {"seeds": (-1,)}, {"seeds": ()}]
)
def test_a_walk_forward_that_makes_no_sense_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation"):
        WalkForwardConfig.model_validate(wrong)
