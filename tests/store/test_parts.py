"""A table in parts: the same whether it grew or was written at once, and shared, not copied."""

import io
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rl_core.base.units import NS_PER_HOUR, NS_PER_MINUTE
from rl_core.lab.markets.spot import simulate_bars
from rl_core.store import parts
from rl_core.store.artifacts import ArtifactStore, SealedArtifact
from rl_core.store.parts import write_parts

BARS = simulate_bars(20_000, seed=1)  # hourly, from 2015-01-01


def sealed(
    store: ArtifactStore, rows: pd.DataFrame, interval_ns: int = NS_PER_HOUR
) -> SealedArtifact:
    earlier = store.open("bars").folder if store.has("bars") else None
    with store.draft("bars") as draft:
        write_parts(rows, draft.directory, "bars", interval_ns, earlier)
        artifact = store.keep("bars", draft)
        store.point(artifact)
    return artifact


def test_a_year_is_a_part_of_hours_and_a_month_of_minutes(tmp_path: Path) -> None:
    years = sealed(ArtifactStore(tmp_path, "hours"), BARS)
    assert list(years.seal.files) == ["bars-2015.parquet", "bars-2016.parquet", "bars-2017.parquet"]
    minutes = simulate_bars(45_000, seed=1, interval="1min")
    months = sealed(ArtifactStore(tmp_path, "minutes"), minutes, NS_PER_MINUTE)
    assert list(months.seal.files) == ["bars-2015-01.parquet", "bars-2015-02.parquet"]
    pd.testing.assert_frame_equal(months.read_frame("bars*.parquet"), minutes)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 19_999), max_size=4))
def test_what_was_appended_to_is_what_was_written_at_once_to_the_byte(
    tmp_path_factory: pytest.TempPathFactory, cuts: list[int]
) -> None:
    store = ArtifactStore(tmp_path_factory.mktemp("lake"), "grown")
    for rows in sorted(cuts):
        sealed(store, BARS.iloc[:rows])
    grown = sealed(store, BARS)
    once = sealed(ArtifactStore(tmp_path_factory.mktemp("lake"), "grown"), BARS)
    assert grown.seal.files == once.seal.files
    assert grown.content == once.content
    pd.testing.assert_frame_equal(grown.read_frame("bars*.parquet"), BARS)


def test_parts_that_did_not_change_are_one_file_with_several_names(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path, "grown")
    first, second = sealed(store, BARS.iloc[:-1]), sealed(store, BARS)
    for name, is_shared in (("bars-2015", True), ("bars-2016", True), ("bars-2017", False)):
        a, b = first.path / f"{name}.parquet", second.path / f"{name}.parquet"
        assert a.samefile(b) is is_shared
    assert len(first.read_frame("bars*.parquet")) == len(BARS) - 1  # still there, to the byte
    first.folder.verify()


def test_a_part_that_was_damaged_is_written_again_and_not_handed_on(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path, "grown")
    first = sealed(store, BARS.iloc[:-1])
    damaged = first.path / "bars-2015.parquet"
    damaged.chmod(0o644)
    damaged.write_bytes(b"damaged" + damaged.read_bytes())
    second = sealed(store, BARS)
    second.folder.verify()
    pd.testing.assert_frame_equal(second.read_frame("bars*.parquet"), BARS)


def test_where_there_are_no_links_parts_are_copied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(18, "Invalid cross-device link")

    monkeypatch.setattr(parts.os, "link", refuse)
    store = ArtifactStore(tmp_path, "grown")
    first, second = sealed(store, BARS.iloc[:-1]), sealed(store, BARS)
    assert not (first.path / "bars-2015.parquet").samefile(second.path / "bars-2015.parquet")
    second.folder.verify()


def test_one_file_of_the_earlier_layout_is_read_too(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path, "old")
    with store.draft("bars") as draft:
        BARS.to_parquet(draft.directory / "bars.parquet", index=False)
        artifact = store.keep("bars", draft)
    pd.testing.assert_frame_equal(artifact.read_frame("bars*.parquet"), BARS)
    raw = artifact.read("bars.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(io.BytesIO(raw)), BARS)
