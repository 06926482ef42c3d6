"""The model store: versions are immutable, pointers atomic, and nothing broken is served."""

import hashlib
from pathlib import Path

import pytest

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError
from rl_core.store.models import Ancestor, DataSpan, Manifest, ModelStore

JUDGED = {"policy.safetensors": hashlib.sha256(b"weights").hexdigest()}


def manifest(version: str) -> Manifest:
    return Manifest(
        desk="small",
        version=version,
        stage="shadow",
        created_at="2020-01-01T00:00:00+00:00",
        software={"torch": "2.13.0"},
        files={},
        data=DataSpan(first_bar="a", last_bar="b", bars=2, content="c"),
        lineage={"bars": Ancestor(content="c", identity="i")},
        metrics={},
        checks=[Check(name="x", passed=True, is_blocking=True, detail="")],
        config={},
    )


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "policy.safetensors").write_bytes(b"weights")
    store = ModelStore(tmp_path, "small")
    for version in ("v1", "v2"):
        store.publish(tmp_path / "source", JUDGED, manifest(version), {"model_card.md": "# card"})
    store.point("shadow", "v1")
    return store


def test_a_version_holds_its_files_with_their_hashes(store: ModelStore) -> None:
    served = store.served("shadow")
    assert served.manifest.version == "v1"
    assert set(served.manifest.files) == {"policy.safetensors", "model_card.md"}
    assert store.versions() == ["v1", "v2"]


def test_rolling_forward_and_back_moves_the_pointer_only(store: ModelStore) -> None:
    for version in ("v2", "v1"):
        store.point("shadow", version)
        assert store.served("shadow").manifest.version == version
    assert store.versions() == ["v1", "v2"]


def test_a_version_is_never_written_twice(store: ModelStore, tmp_path: Path) -> None:
    with pytest.raises(TollgateError, match="a version is immutable, was there already"):
        store.publish(tmp_path / "source", JUDGED, manifest("v1"), {"model_card.md": "# other"})


def test_without_a_pointer_or_with_a_foreign_name_there_is_no_model(
    store: ModelStore, tmp_path: Path
) -> None:
    with pytest.raises(TollgateError, match="must have a champion model, was none"):
        store.served("champion")
    with pytest.raises(TollgateError, match=r"must be one of desk small's \(v1, v2\), was v3"):
        store.version("v3")
    with pytest.raises(TollgateError, match="desk none must have a shadow model, was none"):
        ModelStore(tmp_path, "none").served("shadow")


def test_one_flipped_bit_is_found(store: ModelStore) -> None:
    weights = store.directory / "v1" / "policy.safetensors"
    weights.write_bytes(b"weightt")
    with pytest.raises(TollgateError, match=r"must have the SHA-256 \w+ of its manifest, was \w+"):
        store.served("shadow")
    with pytest.raises(TollgateError, match="of its manifest"):
        store.point("shadow", "v1")


def test_a_version_without_its_weights_is_not_served(store: ModelStore) -> None:
    (store.directory / "v1" / "policy.safetensors").unlink()
    with pytest.raises(TollgateError, match="was missing"):
        store.served("shadow")


def test_a_manifest_that_was_edited_or_cut_is_not_believed(store: ModelStore) -> None:
    path = store.directory / "v1" / "manifest.json"
    text = path.read_text()
    path.write_text(text.replace('"shadow"', '"champion"'))
    with pytest.raises(TollgateError, match="must be as it was deployed, was changed since"):
        store.served("shadow")
    path.write_text(text[:100])
    with pytest.raises(TollgateError, match="must be whole JSON"):
        store.served("shadow")
    path.write_text("{}")
    with pytest.raises(TollgateError, match=r"manifest\.json: desk: Field required"):
        store.version("v1")


def test_an_edited_version_cannot_be_rolled_back_to(store: ModelStore) -> None:
    path = store.directory / "v2" / "manifest.json"
    path.write_text(path.read_text().replace("2.13.0", "9.9.9"))
    with pytest.raises(TollgateError, match="must be as it was deployed, was changed since"):
        store.point("shadow", "v2")
    assert store.served("shadow").manifest.version == "v1"


def test_a_file_that_is_not_the_judged_one_is_not_published(
    store: ModelStore, tmp_path: Path
) -> None:
    (tmp_path / "source" / "policy.safetensors").write_bytes(b"trained again")
    with pytest.raises(TollgateError, match="must be the file that was judged"):
        store.publish(tmp_path / "source", JUDGED, manifest("v3"), {"model_card.md": "# card"})
    assert store.versions() == ["v1", "v2"]


def test_another_user_may_read_the_pointer(store: ModelStore) -> None:
    assert (store.directory / "shadow.json").stat().st_mode & 0o044


def test_a_broken_pointer_is_an_error(store: ModelStore) -> None:
    (store.directory / "shadow.json").write_text("[]")
    with pytest.raises(TollgateError, match="must name a version"):
        store.served("shadow")
