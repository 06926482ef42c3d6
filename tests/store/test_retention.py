"""What `tollgate clean` may remove, and what it never does."""

import os
from pathlib import Path

import pytest

from rl_core.base.errors import TollgateError
from rl_core.store.artifacts import ArtifactStore, SealedArtifact
from rl_core.store.models import Ancestor, ModelStore
from rl_core.store.retention import clean
from tests.store.test_artifacts import build
from tests.store.test_models import FILES, manifest, of_schema_1


def publish(models: ModelStore, name: str, lineage: list[SealedArtifact]) -> None:
    made_from = {
        each.seal.name: Ancestor(content=each.content, identity=each.identity) for each in lineage
    }
    models.publish(FILES, manifest(name).model_copy(update={"lineage": made_from}))


@pytest.fixture
def desk(tmp_path: Path) -> tuple[ArtifactStore, ModelStore]:
    """Five rounds of bars and a dataset; a version was made from the second round."""
    lake, models = ArtifactStore(tmp_path, "small"), ModelStore(tmp_path, "small")
    for number in range(5):
        bars = build(lake, "bars", f"bars {number}")
        dataset = build(lake, "dataset", f"dataset {number}", "bars")
        lake.verdicts_path(dataset).write_text("{}")
        if number == 1:
            publish(models, "v1", [bars, dataset])
    return lake, models


def contents(lake: ArtifactStore, step: str) -> set[str]:
    tables = (lake.directory / step).glob("*/table")
    return {path.read_text() for path in tables}


def test_a_dry_run_says_what_would_go_and_removes_nothing(
    desk: tuple[ArtifactStore, ModelStore],
) -> None:
    lake, models = desk
    found = clean(lake, models, keep=0, is_dry_run=True)
    assert sum(each.path.is_dir() for each in found) == 6  # rounds 0, 2 and 3 of two steps
    assert sum(each.path.name.endswith(".verdicts.json") for each in found) == 3
    assert all(each.num_bytes > 0 for each in found)
    assert len(contents(lake, "bars")) == 5


def test_what_stands_what_was_deployed_and_the_newest_stay(
    desk: tuple[ArtifactStore, ModelStore],
) -> None:
    lake, models = desk
    old = lake.identities("bars")
    clean(lake, models, keep=2, is_dry_run=False)
    assert contents(lake, "dataset") >= {"dataset 4", "dataset 1"}
    assert contents(lake, "bars") >= {"bars 4", "bars 1"}
    clean(lake, models, keep=0, is_dry_run=False)
    assert contents(lake, "dataset") == {"dataset 4", "dataset 1"}
    assert contents(lake, "bars") == {"bars 4", "bars 1"}
    lake.lineage(lake.open("dataset"))
    deployed = models.version("v1").manifest.lineage["dataset"].identity
    assert set(lake.lineage(lake.open("dataset", deployed))) == {"bars", "dataset"}
    assert len(old) == 5


def test_what_the_chain_stands_on_stays_even_if_it_is_the_oldest(
    desk: tuple[ArtifactStore, ModelStore],
) -> None:
    lake, models = desk
    oldest = next(
        lake.open("dataset", identity)
        for identity in lake.identities("dataset")
        if lake.open("dataset", identity).read("table") == b"dataset 0"
    )
    lake.point(oldest)
    clean(lake, models, keep=0, is_dry_run=False)
    assert contents(lake, "dataset") == {"dataset 0", "dataset 1"}
    assert contents(lake, "bars") == {"bars 0", "bars 1", "bars 4"}


def test_litter_of_a_killed_build_and_earlier_layouts_go(
    desk: tuple[ArtifactStore, ModelStore],
) -> None:
    lake, models = desk
    folder = lake.directory / "bars"
    (folder / ".writing.killed").mkdir()
    (folder / "artifact.json").write_text("{}")
    (folder / "bars.parquet").write_text("of the earlier layout")
    clean(lake, models, keep=9, is_dry_run=False)
    assert not (folder / ".writing.killed").exists()
    assert not (folder / "bars.parquet").exists()
    assert len(contents(lake, "bars")) == 5


def test_the_earlier_layout_stays_while_a_version_was_made_from_it(
    desk: tuple[ArtifactStore, ModelStore],
) -> None:
    lake, models = desk
    folder = lake.directory / "bars"
    (folder / "artifact.json").write_text("{}")
    (folder / "bars.parquet").write_text("of the earlier layout")
    of_schema_1(models, "v0")  # made from bars
    clean(lake, models, keep=0, is_dry_run=False)
    assert (folder / "bars.parquet").exists()
    assert (folder / "artifact.json").exists()


def test_a_file_that_a_living_process_writes_is_left_alone(
    desk: tuple[ArtifactStore, ModelStore],
) -> None:
    lake, models = desk
    living = lake.directory / "bars" / f".x.verdicts.json.{os.getpid()}.tmp"
    dead = lake.directory / "bars" / ".x.verdicts.json.4194305.tmp"  # above the largest pid
    living.write_text("")
    dead.write_text("")
    clean(lake, models, keep=9, is_dry_run=False)
    assert living.exists()
    assert not dead.exists()


def test_trainings_are_counted_before_anything_is_removed(
    desk: tuple[ArtifactStore, ModelStore],
) -> None:
    lake, models = desk
    seen: list[int] = []

    def count() -> None:
        seen.append(len(contents(lake, "bars")))

    clean(lake, models, keep=0, is_dry_run=True, before=count)
    assert seen == []
    clean(lake, models, keep=0, is_dry_run=False, before=count)
    assert seen == [5]
    assert len(contents(lake, "bars")) == 2


def test_nothing_is_removed_while_it_is_not_known_what_is_needed(
    desk: tuple[ArtifactStore, ModelStore],
) -> None:
    lake, models = desk
    path = models.directory / "v1" / "manifest.json"
    path.write_text(path.read_text().replace("shadow", "shadov"))
    with pytest.raises(TollgateError, match="was changed since"):
        clean(lake, models, keep=0, is_dry_run=False)
    assert len(contents(lake, "bars")) == 5


def test_a_build_under_way_is_not_cleaned_from_under_its_feet(
    desk: tuple[ArtifactStore, ModelStore],
) -> None:
    lake, models = desk
    with lake.draft("bars"), pytest.raises(TollgateError, match="must run once at a time"):
        clean(lake, models, keep=0, is_dry_run=False)
    assert len(contents(lake, "dataset")) == 5


def test_a_version_whose_artefacts_are_gone_stops_no_cleaning(tmp_path: Path) -> None:
    lake, models = ArtifactStore(tmp_path, "small"), ModelStore(tmp_path, "small")
    build(lake, "bars", "1")
    gone = {"bars": Ancestor(content="c", identity="f" * 64)}
    models.publish(FILES, manifest("v9").model_copy(update={"lineage": gone}))
    assert clean(lake, models, keep=0, is_dry_run=False) == []


def test_an_artefact_that_nothing_points_at_may_go(tmp_path: Path) -> None:
    lake, models = ArtifactStore(tmp_path, "small"), ModelStore(tmp_path, "small")
    with lake.draft("bars") as draft:
        (draft.directory / "table").write_text("1")
        lake.keep("bars", draft)
    assert len(clean(lake, models, keep=0, is_dry_run=True)) == 1
