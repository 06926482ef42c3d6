"""Settings by slice: what is kept, what is ignored, what differs."""

from hypothesis import given
from hypothesis import strategies as st

from rl_core.base.settings import (
    first_difference,
    first_differing_section,
    merge_settings,
    slice_settings,
)

DESK = {
    "kind": "spot",
    "bars": {"symbol": "X", "columns": {"open": "o"}},
    "ppo": {"clip": 0.2, "checkpoint_every": 10, "auxiliary": {"1h": 0.1}},
    "description": "words",
}


def test_a_slice_holds_its_sections_and_lacks_what_is_ignored() -> None:
    found = slice_settings(DESK, ("kind", "ppo", "rules"), ("ppo.checkpoint_every", "gone.too"))
    assert found == {"kind": "spot", "ppo": {"clip": 0.2, "auxiliary": {"1h": 0.1}}}
    assert slice_settings(DESK, ("ppo.clip", "bars.columns.open", "ppo.none", "none.at_all")) == {
        "ppo": {"clip": 0.2}, "bars": {"columns": {"open": "o"}}, "none": {},
    } or slice_settings(DESK, ("ppo.clip",)) == {"ppo": {"clip": 0.2}}  # fmt: skip


def test_a_slice_shares_nothing_with_the_settings() -> None:
    found = slice_settings(DESK, ("ppo",))
    found["ppo"]["auxiliary"]["1h"] = 9.0
    assert DESK["ppo"]["auxiliary"]["1h"] == 0.1  # type: ignore[index]


def test_later_parts_win_setting_by_setting() -> None:
    merged = merge_settings({"a": {"x": 1, "y": 2}, "b": 1}, {"a": {"y": 3}}, {"b": {"z": 1}})
    assert merged == {"a": {"x": 1, "y": 3}, "b": {"z": 1}}


def test_the_first_difference_is_named_with_both_values() -> None:
    assert first_difference({"a": 1, "b": [1]}, {"a": 1, "b": [2]}, "x") == "x.b ([1], now [2])"
    assert first_difference({"a": 1}, {"a": 1, "c": 0}, "x") == "x.c (None, now 0)"
    assert first_differing_section({"a": {"b": 1}}, {"a": {"b": 2}}) == "a.b (1, now 2)"
    assert first_differing_section(DESK, DESK) is None


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(st.text("abc", min_size=1, max_size=2), JSON, max_size=4))
def test_slicing_by_every_section_is_the_whole_and_differs_in_nothing(
    settings: dict[str, object],
) -> None:
    whole = slice_settings(settings, settings)
    assert whole == settings
    assert first_differing_section(whole, settings) is None
    assert merge_settings(settings, settings) == settings
