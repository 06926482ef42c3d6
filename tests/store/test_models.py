"""The model store: versions are immutable, pointers atomic, and nothing broken is served."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError
from rl_core.base.files import json_text, sha256_file
from rl_core.store import migrations
from rl_core.store.documents import write_document
from rl_core.store.migrations import MIGRATIONS, SCHEMA, Migration, migrate_policy, migrate_seal
from rl_core.store.models import Ancestor, DataSpan, Manifest, ModelStore, Promotion

FILES = {"policy.safetensors": b"weights", "model_card.md": b"# card"}


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
        config={"ppo": {"seed": 1}},
        serving={"bars": {"symbol": "SIM"}},
    )


@pytest.fixture
def store(tmp_path: Path) -> ModelStore:
    store = ModelStore(tmp_path, "small")
    for version in ("v1", "v2"):
        store.publish(FILES, manifest(version))
    store.point("shadow", "v1")
    return store


def test_a_version_holds_its_files_with_their_hashes(store: ModelStore) -> None:
    served = store.served("shadow")
    assert served.manifest.version == "v1"
    assert set(served.manifest.files) == set(FILES)
    assert served.folder.read("policy.safetensors") == b"weights"
    assert store.versions() == ["v1", "v2"]


def test_rolling_forward_and_back_moves_the_pointer_only(store: ModelStore) -> None:
    for version in ("v2", "v1"):
        store.point("shadow", version)
        assert store.served("shadow").manifest.version == version
    assert store.versions() == ["v1", "v2"]


def test_a_version_is_never_written_twice(store: ModelStore) -> None:
    with pytest.raises(TollgateError, match="what is sealed never changes, was there already"):
        store.publish(FILES, manifest("v1"))


def test_without_a_pointer_or_with_a_foreign_name_there_is_no_model(
    store: ModelStore, tmp_path: Path
) -> None:
    with pytest.raises(TollgateError, match="must have a champion model, was none"):
        store.served("champion")
    for foreign in ("v3", "../small/v1", "/etc", ""):
        with pytest.raises(TollgateError, match=r"must be one of desk small's \(v1, v2\), was"):
            store.version(foreign)
    with pytest.raises(TollgateError, match="desk none must have a shadow model, was none"):
        ModelStore(tmp_path, "none").served("shadow")


def test_one_flipped_bit_is_found(store: ModelStore) -> None:
    weights = store.directory / "v1" / "policy.safetensors"
    weights.write_bytes(b"weightt")
    with pytest.raises(TollgateError, match=r"was changed since \(policy.safetensors\)"):
        store.verify(store.served("shadow"))
    with pytest.raises(TollgateError, match="was changed since"):
        store.point("shadow", "v1")


def test_a_version_without_its_weights_is_not_served(store: ModelStore) -> None:
    (store.directory / "v1" / "policy.safetensors").unlink()
    with pytest.raises(TollgateError, match="must exist, was missing"):
        store.served("shadow").folder.read("policy.safetensors")


def test_a_manifest_that_was_edited_or_cut_is_not_believed(store: ModelStore) -> None:
    path = store.directory / "v1" / "manifest.json"
    text = path.read_text()
    path.write_text(text.replace('"shadow"', '"champion"'))
    with pytest.raises(TollgateError, match="must be as it was written, was changed since"):
        store.served("shadow")
    path.write_text(text[:100])
    with pytest.raises(TollgateError, match="must be whole JSON"):
        store.served("shadow")
    path.write_text("{}")  # no hash of its own, and no index of schema 1 that vouches for it
    with pytest.raises(TollgateError, match=r"versions\.json must exist, was missing"):
        store.version("v1")


def test_damage_of_one_version_never_stops_the_other(store: ModelStore) -> None:
    """There is no index that could be lost."""
    (store.directory / "v2" / "manifest.json").write_text("{")
    (store.directory / "versions.json").write_text("[]")
    assert store.served("shadow").manifest.version == "v1"
    with pytest.raises(TollgateError, match="must be whole JSON"):
        store.point("shadow", "v2")
    assert store.served("shadow").manifest.version == "v1"


def test_another_user_may_read_the_pointer(store: ModelStore) -> None:
    assert (store.directory / "shadow.json").stat().st_mode & 0o044


@pytest.mark.parametrize("text", ["[]", "null", '{"verzion": "v1"}', "{}", '"v1"', "[" * 10**5])
def test_a_broken_pointer_is_one_error(store: ModelStore, text: str) -> None:
    (store.directory / "shadow.json").write_text(text)
    for ask in (lambda: store.served("shadow"), store.pointers):
        with pytest.raises(TollgateError, match=r"shadow\.json must"):
            ask()
    store.point("shadow", "v2")
    assert store.served("shadow").manifest.version == "v2"


# ---- what was deployed by earlier versions


def of_schema_1(store: ModelStore, version: str) -> Path:
    """A version as Tollgate 0.1 wrote it: an index beside the versions, the whole desk inside."""
    folder = store.directory / version
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    hashes = {name: sha256_file(folder / name) for name in FILES}
    body = manifest(version).model_dump(
        mode="json", exclude={"schema_number", "serving", "memory_bars"}
    )
    config = {
        "kind": "spot", "bars": {"symbol": "SIM"}, "ppo": {"rollout_steps": 32, "gone": 1},
        "dataset": {"horizons": ["1h"], "lookahead_probes": 4},
    }  # fmt: skip
    (folder / "manifest.json").write_text(json_text({**body, "files": hashes, "config": config}))
    index = store.directory / "versions.json"
    known = json.loads(index.read_text()) if index.exists() else {}
    known[version] = sha256_file(folder / "manifest.json")
    index.write_text(json_text(known))
    pointer = {"version": version, "moved_at": "2020-01-01T00:00:00+00:00"}
    (store.directory / "shadow.json").write_text(json_text(pointer))
    return folder


def test_what_an_earlier_version_deployed_is_read_and_served(tmp_path: Path) -> None:
    store = ModelStore(tmp_path, "small")
    of_schema_1(store, "v0")
    found = store.served("shadow").manifest
    assert found.schema_number == SCHEMA
    assert set(found.serving) == {"kind", "bars", "dataset"}
    assert found.serving["dataset"] == {"horizons": ["1h"]}
    # what a source could not say then is what it is by default now
    assert found.serving["bars"]["symbol"] == "SIM"
    assert found.serving["bars"]["stamped_at"] == "open"
    assert found.memory_bars == 32
    store.publish(FILES, manifest("v1"))
    store.point("shadow", "v1")
    assert store.version("v0").folder.read("policy.safetensors") == b"weights"
    store.promote("v0", Promotion(reason="because", by="me", promoted_at="now", unmet=[]))
    assert store.version("v0").manifest.promotions[0].reason == "because"


def test_an_earlier_version_that_was_edited_is_refused(tmp_path: Path) -> None:
    store = ModelStore(tmp_path, "small")
    path = of_schema_1(store, "v0") / "manifest.json"
    path.write_text(path.read_text().replace("2.13.0", "9.9.9"))
    with pytest.raises(TollgateError, match="must be as it was deployed, was changed since"):
        store.version("v0")


def test_a_version_of_the_future_says_so(store: ModelStore) -> None:
    path = store.directory / "v1" / "manifest.json"
    body = json.loads(path.read_text())
    del body["sha256"]
    write_document(path, {**body, "schema_number": SCHEMA + 1})
    with pytest.raises(TollgateError, match="was made by a newer version of Tollgate; upgrade"):
        store.version("v1")


def test_a_setting_that_was_renamed_in_the_code_goes_on_being_served(
    store: ModelStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def renamed(settings: dict[str, Any]) -> dict[str, Any]:
        bars = settings.get("bars", {})
        return {**settings, "bars": {"ticker": bars["symbol"]}} if bars else settings

    following = {**MIGRATIONS, SCHEMA: Migration(settings=renamed)}
    monkeypatch.setattr(migrations, "MIGRATIONS", following)
    monkeypatch.setattr(migrations, "SCHEMA", SCHEMA + 1)
    assert store.version("v1").manifest.serving == {"bars": {"ticker": "SIM"}}
    seal = {"schema_number": SCHEMA, "settings": {"bars": {"symbol": "X"}}, "facts": {}}
    assert migrate_seal(seal, "x") == {
        "schema_number": SCHEMA + 1, "settings": {"bars": {"ticker": "X"}}, "facts": {},
    }  # fmt: skip
    assert migrate_seal(migrate_seal(seal, "x"), "x") == migrate_seal(seal, "x")


def test_a_policy_file_is_migrated_with_the_settings_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def renamed(settings: dict[str, Any]) -> dict[str, Any]:
        return {**settings, "model": {"width": settings["model"]["hidden"]}}

    def grown(spec: dict[str, Any]) -> dict[str, Any]:
        return {**spec, "has_strength": True}

    following = {**MIGRATIONS, SCHEMA: Migration(settings=renamed, policy=grown)}
    monkeypatch.setattr(migrations, "MIGRATIONS", following)
    monkeypatch.setattr(migrations, "SCHEMA", SCHEMA + 1)
    spec = {"model": {"hidden": 64}, "horizons": ["1h"]}
    whole = {"model": {"width": 64}, "horizons": ["1h"], "has_strength": True}
    assert migrate_policy(spec, SCHEMA, "policy.json") == whole
    assert migrate_policy(whole, SCHEMA + 1, "policy.json") == whole
    with pytest.raises(TollgateError, match="made by a newer version of Tollgate"):
        migrate_policy(spec, SCHEMA + 2, "policy.json")


def decision(reason: str, by: str = "alice") -> Promotion:
    return Promotion(reason=reason, by=by, promoted_at="2020-01-01T00:00:00+00:00", unmet=["x"])


def test_each_promotion_is_numbered_and_bound_to_its_version(store: ModelStore) -> None:
    store.promote("v1", decision("first"))
    found = store.promote("v1", decision("second", "bob")).manifest.promotions
    assert [(p.number, p.version, p.by) for p in found] == [(1, "v1", "alice"), (2, "v1", "bob")]
    assert store.served("champion").manifest.version == "v1"


def test_a_promotion_interrupted_before_the_pointer_moved_is_finished_and_not_doubled(
    store: ModelStore,
) -> None:
    store.promote("v1", decision("for good"))
    store.point("champion", "v2")  # as if it never moved
    assert len(store.promote("v1", decision("for good")).manifest.promotions) == 1
    store.point("champion", "v2")
    other = store.promote("v1", decision("for good", "bob")).manifest.promotions
    assert [p.by for p in other] == ["alice", "bob"]  # another person's decision is another one


def test_a_promotion_that_was_deleted_is_missed(store: ModelStore) -> None:
    store.promote("v1", decision("first"))
    store.promote("v1", decision("second"))
    (store.directory / "v1" / "promotion_2.json").unlink()
    with pytest.raises(TollgateError, match="must hold the 2 promotions with which it was made"):
        store.served("champion")
    (store.directory / "v1" / "promotion_1.json").rename(
        store.directory / "v1" / "promotion_2.json"
    )
    with pytest.raises(TollgateError, match="must be promotion 1 of version v1"):
        store.version("v1")


def test_a_promotion_copied_to_another_version_is_refused(store: ModelStore) -> None:
    store.promote("v1", decision("first"))
    copy = (store.directory / "v1" / "promotion_1.json").read_bytes()
    (store.directory / "v2" / "promotion_1.json").write_bytes(copy)
    with pytest.raises(TollgateError, match="promotion 1 of version v2, was promotion 1 of v1"):
        store.version("v2")


def test_a_version_copied_under_another_name_is_refused(store: ModelStore) -> None:
    shutil.copytree(store.directory / "v1", store.directory / "v3")
    with pytest.raises(TollgateError, match="must be of small v3, was of small v1"):
        store.version("v3")
