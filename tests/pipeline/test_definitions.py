"""What Dagster knows of a desk."""

import subprocess
import sys
from pathlib import Path

import dagster as dg
import pytest

from pipeline.definitions import all_definitions, defs
from rl_core.desk import read_desks
from rl_core.judging.settings import SAFETY_CHECKS, SKILL_CHECKS
from rl_core.steps.chain import STEPS

DESKS = [desk.name for desk in read_desks()[0]]
CHAIN = [step.name for step in STEPS if step.is_in_chain]


@pytest.mark.parametrize("desk", DESKS)
def test_a_desk_is_eight_described_assets_in_one_chain(desk: str) -> None:
    graph = defs.resolve_asset_graph()
    for name in CHAIN:
        node = graph.get(dg.AssetKey([desk, name]))
        assert node.group_name == desk
        assert node.description
        assert ("SIMULATED" in node.description) == (desk == "index_futures")
        assert node.kinds
        assert node.owners
    key = dg.AssetKey([desk, "deployed_model"])
    ancestors = {key.path[-1] for key in graph.get_ancestor_asset_keys(key)}
    assert ancestors == {*CHAIN, "latest_bars"} - {"deployed_model"}


@pytest.mark.parametrize("desk", DESKS)
def test_new_bars_come_in_beside_the_chain_when_they_are_switched_on(desk: str) -> None:
    key = dg.AssetKey([desk, "latest_bars"])
    graph = defs.resolve_asset_graph()
    assert graph.get(key).group_name == f"{desk}_latest_bars"
    assert graph.get(key).child_keys == {dg.AssetKey([desk, "bars"])}
    assert (graph.get(key).freshness_policy is None) == (desk == "index_futures")
    assert key not in defs.resolve_job_def(f"retrain_{desk}").asset_layer.executable_asset_keys
    schedule = defs.resolve_schedule_def(f"latest_bars_{desk}_schedule")
    assert schedule.cron_schedule == "2 * * * *"
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED


@pytest.mark.parametrize("desk", DESKS)
def test_every_desk_has_a_job_and_a_weekly_schedule_that_is_on(desk: str) -> None:
    assert defs.resolve_job_def(f"retrain_{desk}")
    schedule = defs.resolve_schedule_def(f"retrain_{desk}_schedule")
    assert schedule.cron_schedule == "0 6 * * 1"
    assert schedule.execution_timezone == "UTC"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING


@pytest.mark.parametrize("desk", DESKS)
def test_walking_forward_is_in_a_group_of_its_own_and_no_link_waits_for_it(desk: str) -> None:
    graph = defs.resolve_asset_graph()
    key = dg.AssetKey([desk, "walk_forward"])
    assert graph.get(key).group_name == f"{desk}_walk_forward"
    assert graph.get(key).parent_keys == {dg.AssetKey([desk, "bars"])}
    assert not graph.get(key).child_keys
    assert key not in defs.resolve_job_def(f"retrain_{desk}").asset_layer.executable_asset_keys
    assert defs.resolve_job_def(f"walk_forward_{desk}")


def test_checks_of_skill_do_not_keep_a_safe_model_from_being_served() -> None:
    graph = defs.resolve_asset_graph()
    blocking = {key.name: graph.get_check_spec(key).blocking for key in graph.asset_check_keys}
    assert not any(blocking[name] for name in SKILL_CHECKS)
    assert [name for name in SAFETY_CHECKS if not blocking[name]] == ["inference_is_fast"]


def test_the_checks_that_protect_what_comes_next_are_blocking() -> None:
    graph = defs.resolve_asset_graph()
    blocking = {key.name for key in graph.asset_check_keys if graph.get_check_spec(key).blocking}
    assert {
        "known_targets_are_within_100_percent",
        "targets_agree_with_prices_in_sql",
        "no_feature_sees_the_future",
        "predictions_are_finite",
        "served_model_is_intact",
    } <= blocking
    assert "targets_vary" not in blocking


def test_one_desk_of_each_family_ships() -> None:
    assert DESKS == ["btc_spot", "index_futures", "us_portfolio"]


def test_loading_the_definitions_does_not_load_torch() -> None:
    script = "import pipeline.definitions, sys; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


def test_a_desk_of_seconds_takes_no_other_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "quick.yaml").write_text(
        "bars: {path: x.csv, symbol: X, interval: 10s}\ndataset: {horizons: [1h, 24h]}\n"
    )
    monkeypatch.setenv("TOLLGATE_DESKS", str(tmp_path))
    graph = all_definitions().resolve_asset_graph()
    assert graph.get(dg.AssetKey(["quick", "latest_bars"])).freshness_policy is not None
    assert graph.has(dg.AssetKey(["btc_spot", "bars"]))
