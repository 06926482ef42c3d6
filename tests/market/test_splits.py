"""Splits are chronological, and no target reaches across a border."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_core.base.errors import TollgateError
from rl_core.market.settings import Split, SplitConfig
from rl_core.market.splits import split_bars
from tests.conftest import HOUR_NS

CONFIG = SplitConfig(train_fraction=0.5, validation_fraction=0.25, purge="2h")


def test_twenty_hours_split_by_hand() -> None:
    split = split_bars(np.arange(20) * HOUR_NS, CONFIG)
    # 10 train, 5 validation, 5 test; the last 2 before each border would reach across it
    expected = [0] * 8 + [3] * 2 + [1] * 3 + [3] * 2 + [2] * 5
    assert split.tolist() == expected


@given(st.lists(st.integers(1, 5), min_size=60, max_size=200), st.integers(1, 4))
def test_no_target_as_long_as_the_purge_ends_in_another_split(steps: list[int], hours: int) -> None:
    ns = np.cumsum(steps) * HOUR_NS  # with holes
    split = split_bars(ns, CONFIG.model_copy(update={"purge": f"{hours}h"}))
    for part in (Split.TRAIN, Split.VALIDATION):
        last_target = ns[split == part].max() + hours * HOUR_NS
        assert last_target < ns[(split > part) & (split != Split.PURGED)].min()


def test_too_few_bars_are_an_error() -> None:
    with pytest.raises(TollgateError, match="every split must have bars, was none in train of 4"):
        split_bars(np.arange(4) * HOUR_NS, CONFIG)


def test_fractions_must_leave_a_test_span() -> None:
    with pytest.raises(ValueError, match=r"must be below 1, was 0.8 \+ 0.2"):
        SplitConfig(train_fraction=0.8, validation_fraction=0.2)
