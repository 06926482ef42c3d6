"""Lengths of time read as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_core.base.units import NS_PER_DAY, NS_PER_HOUR, NS_PER_MINUTE, NS_PER_YEAR, length_ns


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("1min", 60_000_000_000),
        ("1h", 3_600_000_000_000),
        ("24h", 86_400_000_000_000),
        ("5d", 432_000_000_000_000),
        ("365D", 365 * NS_PER_DAY),
        ("1d12h", NS_PER_DAY + 12 * NS_PER_HOUR),
        ("1.5 h", 90 * NS_PER_MINUTE),
        ("2 weeks", 14 * NS_PER_DAY),
        ("0h", 0),
        ("-48h", -2 * NS_PER_DAY),
        ("15m", 15 * NS_PER_MINUTE),
        ("250ms", 250_000_000),
    ],
)
def test_a_length_is_so_many_nanoseconds(text: str, ns: int) -> None:
    assert length_ns(text) == ns


@pytest.mark.parametrize(
    "text", ["", "h", "24", "1hour2", "soon", "1h x", "1,5h", "\uff11h", "1h--2h"]
)
def test_what_is_no_length_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="must read like 15min, 1h or 5d, was"):
        length_ns(text)


@given(st.integers(0, 10**5), st.sampled_from(["s", "min", "h", "D"]))
def test_lengths_agree_with_pandas(number: int, unit: str) -> None:
    import pandas as pd

    assert length_ns(f"{number}{unit}") == pd.Timedelta(number, unit=unit).value  # type: ignore[call-overload]


def test_a_year_is_a_julian_one() -> None:
    assert NS_PER_YEAR == 365.25 * 86_400e9
