"""The lake seals what is built and notices every change since."""

import json
from pathlib import Path

import pytest

from rl_core.base.errors import TollgateError
from rl_core.base.files import sha256_file, sha256_json
from rl_core.store.artifacts import SEAL, Artifact, Lake


def build(lake: Lake, name: str, text: str, *inputs: str) -> Artifact:
    with lake.build(name, {i: lake.load(i) for i in inputs}, {}, {}) as folder:
        (folder / "table").write_text(text)
    return lake.load(name)


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = Lake(tmp_path, "small")
    build(lake, "bars", "1")
    build(lake, "history", "2", "bars")
    build(lake, "dataset", "3", "bars", "history")
    return lake


def test_content_depends_on_the_files_alone(lake: Lake) -> None:
    first = lake.load("dataset").content
    assert build(lake, "dataset", "3", "bars", "history").content == first
    assert build(lake, "dataset", "4", "bars", "history").content != first


def test_the_lineage_names_the_content_of_every_ancestor(lake: Lake) -> None:
    lineage = lake.lineage("dataset")
    assert lineage == {name: lake.load(name) for name in ("bars", "dataset", "history")}
    assert lineage["dataset"].inputs == {
        name: lake.load(name).identity for name in ("bars", "history")
    }


def test_an_input_that_was_built_again_breaks_the_lineage(lake: Lake) -> None:
    build(lake, "history", "other", "bars")
    with pytest.raises(TollgateError, match="dataset of desk small must be made from the history"):
        lake.lineage("dataset")


@pytest.mark.parametrize("name", ["bars", "history", "dataset"])
def test_a_changed_file_anywhere_breaks_the_lineage(lake: Lake, name: str) -> None:
    lake.path(name, "table").write_text("changed")
    with pytest.raises(TollgateError, match="must be as it was sealed, was changed since"):
        lake.lineage("dataset")


@pytest.mark.parametrize("section", ["inputs", "config", "metadata"])
def test_a_seal_that_was_edited_breaks_the_lineage(lake: Lake, section: str) -> None:
    path = lake.path("history", SEAL)
    seal = json.loads(path.read_text())
    seal[section]["bars"] = "other"
    path.write_text(json.dumps(seal))
    with pytest.raises(TollgateError, match="must be made from the"):
        lake.lineage("dataset")


def test_a_hash_that_was_edited_to_match_its_file_is_noticed(lake: Lake) -> None:
    lake.path("bars", "table").write_text("changed")
    path = lake.path("bars", SEAL)
    seal = json.loads(path.read_text())
    seal["files"]["table"] = sha256_file(lake.path("bars", "table"))
    path.write_text(json.dumps(seal))
    with pytest.raises(TollgateError, match=r"was changed since \(artifact\.json\)"):
        lake.load("bars")
    seal["content"] = sha256_json(seal["files"])
    path.write_text(json.dumps(seal))
    with pytest.raises(TollgateError, match="must be made from the bars that is there"):
        lake.lineage("dataset")


def test_a_file_that_was_added_is_noticed(lake: Lake) -> None:
    lake.path("bars", "extra").write_text("x")
    with pytest.raises(TollgateError, match=r"was changed since \(extra\)"):
        lake.load("bars")


def test_an_artefact_that_was_never_built_or_lost_its_seal_is_named(lake: Lake) -> None:
    with pytest.raises(TollgateError, match="policy of desk small must be built first"):
        lake.load("policy")
    lake.path("bars", SEAL).unlink()
    with pytest.raises(TollgateError, match=r"artifact\.json must exist, was missing"):
        lake.load("bars")


def test_what_a_killed_build_left_behind_is_removed_by_the_next(lake: Lake) -> None:
    leftover = lake.directory / ".dataset.killed"
    leftover.mkdir()
    (leftover / "half").write_text("x")
    build(lake, "dataset", "3", "bars", "history")
    assert not leftover.exists()


def test_a_build_that_fails_leaves_the_old_artefact(lake: Lake) -> None:
    content = lake.load("dataset").content

    def fail() -> None:
        with lake.build("dataset", {}, {}, {}) as folder:
            (folder / "table").write_text("half")
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        fail()
    assert lake.load("dataset").content == content
