"""The lake seals what is built, loses nothing, and notices every change since."""

import json
from pathlib import Path
from typing import Any

import pytest

from rl_core.base.errors import TollgateError
from rl_core.base.files import sha256_file
from rl_core.store.artifacts import SEAL, ArtifactStore, SealedArtifact
from rl_core.store.documents import read_document, write_document
from rl_core.store.sealed import remove_leftovers


def build(lake: ArtifactStore, name: str, text: str, *inputs: str, **facts: Any) -> SealedArtifact:
    with lake.draft(name) as draft:
        (draft.directory / "table").write_text(text)
        draft.inputs = {i: lake.current(i) for i in inputs}
        draft.facts = facts
        sealed = lake.keep(name, draft)
        lake.point(sealed)
    return sealed


@pytest.fixture
def lake(tmp_path: Path) -> ArtifactStore:
    lake = ArtifactStore(tmp_path, "small")
    build(lake, "bars", "1")
    build(lake, "history", "2", "bars")
    build(lake, "dataset", "3", "bars", "history")
    return lake


def file_of(lake: ArtifactStore, name: str, file: str = "table") -> Path:
    return lake.open(name).path / file


def test_content_depends_on_the_files_alone(lake: ArtifactStore) -> None:
    first = lake.open("dataset")
    assert build(lake, "dataset", "3", "bars", "history").content == first.content
    assert build(lake, "dataset", "4", "bars", "history").content != first.content
    assert build(lake, "dataset", "3", "bars", "history", rows=1).content == first.content


def test_identity_depends_on_files_inputs_and_figures(lake: ArtifactStore) -> None:
    first = lake.current("dataset")
    identities = {
        first,
        build(lake, "dataset", "4", "bars", "history").identity,
        build(lake, "dataset", "3", "bars").identity,
        build(lake, "dataset", "3", "bars", "history", rows=1).identity,
    }
    assert len(identities) == 4
    assert build(lake, "dataset", "3", "bars", "history").identity == first


def test_a_rebuild_destroys_nothing_that_was_built_before(lake: ArtifactStore) -> None:
    before = lake.open("history")
    after = build(lake, "history", "other", "bars")
    assert lake.current("history") == after.identity != before.identity
    kept = lake.open("history", before.identity)
    assert kept.read("table") == b"2"
    assert lake.identities("history") == sorted(
        [before.identity, after.identity],
        key=lambda i: (lake.open("history", i).seal.created_at, i),
    )


def test_the_lineage_names_every_ancestor_as_it_was(lake: ArtifactStore) -> None:
    dataset, history = lake.open("dataset"), lake.open("history")
    build(lake, "history", "other", "bars")  # built again since: the lineage is what it was
    lineage = lake.lineage(dataset)
    assert {name: each.identity for name, each in lineage.items()} == {
        "bars": lake.current("bars"), "dataset": dataset.identity, "history": history.identity,
    }  # fmt: skip


def test_two_artefacts_of_one_step_in_a_lineage_are_refused(lake: ArtifactStore) -> None:
    build(lake, "bars", "5")
    mixed = build(lake, "dataset", "3", "bars", "history")  # its history is of the old bars
    with pytest.raises(TollgateError, match="must be made from one bars, was made from"):
        lake.lineage(mixed)


@pytest.mark.parametrize("name", ["bars", "history", "dataset"])
def test_a_changed_file_anywhere_breaks_the_lineage(lake: ArtifactStore, name: str) -> None:
    dataset = lake.open("dataset")
    file_of(lake, name).write_text("changed")
    with pytest.raises(TollgateError, match=r"must be as it was sealed, .* since \(table\)"):
        lake.lineage(dataset)


@pytest.mark.parametrize("section", ["inputs", "settings", "facts", "timings"])
def test_a_seal_that_was_edited_is_refused(lake: ArtifactStore, section: str) -> None:
    path = file_of(lake, "history", SEAL)
    seal = json.loads(path.read_text())
    seal[section]["bars"] = "other" if section != "timings" else 1.0
    path.write_text(json.dumps(seal, indent=2) + "\n")
    with pytest.raises(TollgateError, match="must be as it was written, was changed since"):
        lake.open("history")


def test_a_seal_that_was_written_anew_with_its_own_hash_is_another_artefact(
    lake: ArtifactStore,
) -> None:
    """Whoever mends every hash in the file has still to mend the name and the pointer."""
    file_of(lake, "bars").write_text("changed")
    path = file_of(lake, "bars", SEAL)
    body = read_document(path)
    body["files"] = {"table": sha256_file(file_of(lake, "bars"))}
    write_document(path, body)
    with pytest.raises(TollgateError, match=r"must be bars .* of desk small, was bars"):
        lake.open("bars")


def test_a_file_that_was_added_is_noticed(lake: ArtifactStore) -> None:
    file_of(lake, "bars", "extra").write_text("x")
    with pytest.raises(TollgateError, match=r"was changed since \(extra\)"):
        lake.open("bars").folder.verify()


def test_a_folder_or_a_pipe_in_an_artefact_is_refused_and_not_waited_for(
    lake: ArtifactStore,
) -> None:
    import os

    os.mkfifo(file_of(lake, "bars", "pipe"))
    with pytest.raises(TollgateError, match="must hold plain files only, was pipe too"):
        lake.open("bars").folder.verify()
    file_of(lake, "bars").unlink()
    os.mkfifo(file_of(lake, "bars"))
    with pytest.raises(TollgateError, match="must be a file, was a folder, a pipe or a device"):
        lake.open("bars").read("table")


def test_an_artefact_that_was_never_built_or_lost_its_seal_is_named(lake: ArtifactStore) -> None:
    with pytest.raises(TollgateError, match="policy of desk small must be built first, was not"):
        lake.open("policy")
    file_of(lake, "bars", SEAL).unlink()
    with pytest.raises(TollgateError, match=r"seal\.json must exist, was missing"):
        lake.open("bars")
    old = lake.directory / "earlier" / "artifact.json"
    old.parent.mkdir()
    old.write_text("{}")
    with pytest.raises(TollgateError, match="was built by an earlier version, in another layout"):
        lake.open("earlier")


def test_what_a_killed_build_left_behind_is_removed_by_the_next(lake: ArtifactStore) -> None:
    leftover = lake.directory / "dataset" / ".writing.killed"
    leftover.mkdir()
    (leftover / "half").write_text("x")
    build(lake, "dataset", "3", "bars", "history")
    assert not leftover.exists()


def test_a_build_that_fails_leaves_the_old_artefact(lake: ArtifactStore) -> None:
    before = lake.current("dataset")

    def fail() -> None:
        with lake.draft("dataset") as draft:
            (draft.directory / "table").write_text("half")
            raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        fail()
    assert lake.current("dataset") == before
    assert not list((lake.directory / "dataset").glob(".writing.*"))


def test_two_builds_of_one_step_do_not_run_at_once(lake: ArtifactStore) -> None:
    with lake.draft("dataset"), pytest.raises(TollgateError, match="must run once at a time"):
        build(lake, "dataset", "3", "bars", "history")


def test_building_the_same_again_does_not_bless_what_was_damaged(tmp_path: Path) -> None:
    lake = ArtifactStore(tmp_path, "small")
    (build(lake, "bars", "1").path / "table").write_text("changed")
    with pytest.raises(TollgateError, match=r"was changed since \(table\)"):
        build(lake, "bars", "1")


def test_leftovers_go_and_what_a_link_points_at_stays(tmp_path: Path) -> None:
    (tmp_path / ".head.json.999999999.tmp").write_text("x")
    (tmp_path / "far").mkdir()
    (tmp_path / ".writing.link").symlink_to(tmp_path / "far")
    remove_leftovers(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["far"]


def test_a_list_is_no_document(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[]")
    with pytest.raises(TollgateError, match="must be as it was written"):
        read_document(tmp_path / "x.json")
