"""Schema numbers of seals, manifests and the settings in them, and the way from each to the next.

A setting that is renamed or dropped in the code gets a migration here; what was sealed or deployed
before goes on being read, and no file is rewritten.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from rl_core.base.errors import TollgateError
from rl_core.base.settings import slice_settings

Change = Callable[[dict[str, Any]], dict[str, Any]]

# what a model needs of its desk's settings in order to answer; nothing else keeps it from serving
SERVING_SECTIONS = (
    "name", "kind", "bars", "quality", "sentiment", "regimes", "splits", "costs", "account",
    "contract", "brackets", "rules", "allocations", "dataset.horizons",
)  # fmt: skip


def unchanged(value: dict[str, Any]) -> dict[str, Any]:
    """The value as it is: nothing to migrate."""
    return value


@dataclass(frozen=True)
class Migration:
    """What leads from one schema to the next."""

    settings: Change = unchanged  # of sections of a desk's settings, whichever are there
    manifest: Change = unchanged  # of a version's manifest, its settings apart
    seal: Change = unchanged  # of an artefact's seal with its figures, its settings apart
    policy: Change = unchanged  # of the file that says what a policy's numbers mean


def serving_slice(settings: Mapping[str, Any]) -> dict[str, Any]:
    """The settings with which a model is served."""
    return slice_settings(settings, SERVING_SECTIONS)


def _serving_beside_config(manifest: dict[str, Any]) -> dict[str, Any]:
    """Schema 1 served with the whole desk, and kept the memory in the training's settings."""
    config = manifest["config"]
    memory = config.get("ppo", {}).get("rollout_steps")
    return {**manifest, "serving": serving_slice(config), "memory_bars": memory}


# settings that sources of bars gained with schema 3, as they were before there was a choice
_SOURCE_OF_2 = {
    "timestamp_unit": None, "ambiguous": "raise", "names": [], "delimiter": None, "decimal": None,
}  # fmt: skip
_SERIES_OF_2 = {
    "stamped_at": "open", "price_scale": 1.0, "volume": None, "known_moves": [],
    "drop_duplicates": False,
}  # fmt: skip
_QUALITY_OF_2 = {"max_stale_share": 0.05, "bad_print_moves": 40.0, "severity": {}}


def _sources_of_schema_3(settings: dict[str, Any]) -> dict[str, Any]:
    """Add what a source of bars can say since schema 3."""
    found = dict(settings)
    if "bars" in settings:
        is_panel = "layout" in settings["bars"]
        added = _SOURCE_OF_2 if is_panel else {**_SOURCE_OF_2, **_SERIES_OF_2}
        found["bars"] = {**added, **settings["bars"]}
    if "quality" in settings:
        found["quality"] = {**_QUALITY_OF_2, **settings["quality"]}
    return found


# and with schema 4, as bars came in until then
_SOURCE_OF_3 = {"url": None, "query": None}
_SERIES_OF_3 = {"download": None, "keep_history": False, "revisions": "accept"}


def _sources_of_schema_4(settings: dict[str, Any]) -> dict[str, Any]:
    """Add what a source of bars can say since schema 4, and drop what a panel no longer can."""
    found = dict(settings)
    if "bars" in settings:
        is_panel = "layout" in settings["bars"]
        added = _SOURCE_OF_3 if is_panel else {**_SOURCE_OF_3, **_SERIES_OF_3}
        dropped = {"stamped_at", "price_scale"} if is_panel else set[str]()
        kept = {name: value for name, value in settings["bars"].items() if name not in dropped}
        found["bars"] = {**added, **kept}
    if "quality" in settings:
        found["quality"] = {"max_bars_late": 2, **settings["quality"]}
    return found


MIGRATIONS: Mapping[int, Migration] = {
    1: Migration(manifest=_serving_beside_config),
    2: Migration(settings=_sources_of_schema_3),
    3: Migration(settings=_sources_of_schema_4),
}
SCHEMA = max(MIGRATIONS) + 1


def migrate_manifest(manifest: dict[str, Any], where: str) -> dict[str, Any]:
    """A manifest of any schema as the present one.

    Raises:
        TollgateError: it was written by a newer version of Tollgate.
    """
    schema = int(manifest.get("schema_number", 1))
    _require_known(schema, where)
    for number in range(schema, SCHEMA):
        manifest = MIGRATIONS[number].manifest(manifest)
        for name in ("config", "serving"):
            if name in manifest:
                manifest = {**manifest, name: MIGRATIONS[number].settings(manifest[name])}
    return {**manifest, "schema_number": SCHEMA}


def migrate_seal(body: dict[str, Any], where: str) -> dict[str, Any]:
    """An artefact's seal of any schema as the present one, its settings too.

    Raises:
        TollgateError: it was sealed by a newer version of Tollgate.
    """
    schema = int(body["schema_number"])
    _require_known(schema, where)
    for number in range(schema, SCHEMA):
        step = MIGRATIONS[number]
        body = step.seal(body)
        body = {**body, "settings": step.settings(body["settings"])}
    return {**body, "schema_number": SCHEMA}


def migrate_policy(spec: dict[str, Any], schema: int, where: str) -> dict[str, Any]:
    """What a policy's file says, of any schema, as the code knows it now.

    Raises:
        TollgateError: it was written by a newer version of Tollgate.
    """
    _require_known(schema, where)
    for number in range(schema, SCHEMA):
        spec = MIGRATIONS[number].policy(spec)
        spec = {**spec, **MIGRATIONS[number].settings({"model": spec["model"]})}
    return spec


def _require_known(schema: int, where: str) -> None:
    if schema > SCHEMA:
        raise TollgateError(
            f"{where} must have at most schema {SCHEMA}, was {schema}: it was made by a newer "
            "version of Tollgate; upgrade this one"
        )
