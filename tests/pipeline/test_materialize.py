"""The real `dagster asset materialize`, on a small desk: it runs through, and it stops."""

import json
import os
import pty
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from rl_core.lab.markets.spot import simulate_bars
from tests.conftest import small_desk
from tests.steps.test_futures import future_desk

ROOT = Path(__file__).parent.parent.parent


def command(select: str) -> list[str]:
    return [
        sys.executable, "-m", "dagster", "asset", "materialize", "-m", "pipeline.definitions",
        "--select", select,
    ]  # fmt: skip


class Factory:
    """A desk of its own with a DAGSTER_HOME of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("desks", "home"):
            (folder / name).mkdir()
        (folder / "home" / "dagster.yaml").write_text(
            (ROOT / "pipeline" / "dagster.yaml").read_text()
        )
        simulate_bars(3000, seed=7, signal_r2=0.05).to_parquet(folder / "bars.parquet", index=False)
        desk = small_desk(folder / "bars.parquet", name="mine")
        text = yaml.safe_dump(desk.model_dump(mode="json", exclude_defaults=True))
        (folder / "desks" / "mine.yaml").write_text(text)

    @property
    def lake(self) -> Path:
        return self.folder / "data" / "lake" / "mine"

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "TOLLGATE_DESKS": str(self.folder / "desks"),
            "TOLLGATE_DATA": str(self.folder / "data"),
            "DAGSTER_HOME": str(self.folder / "home"),
        }

    def materialize(self, select: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command(select),
            capture_output=True,
            text=True,
            check=False,
            env=self.environment,
            cwd=ROOT,
        )

    def built(self) -> dict[str, str]:
        """When each pointer was moved: that happens with every build."""
        return {p.parent.name: str(p.stat().st_mtime_ns) for p in self.lake.glob("*/current.json")}

    def current(self, step: str) -> Path:
        """Folder of the artefact that the chain stands on."""
        pointer = json.loads((self.lake / step / "current.json").read_text())
        return self.lake / step / pointer["identity"][:16]


@pytest.fixture(scope="module")
def factory(tmp_path_factory: pytest.TempPathFactory) -> Factory:
    factory = Factory(tmp_path_factory.mktemp("factory"))
    result = factory.materialize("group:mine")
    assert result.returncode == 0, result.stdout + result.stderr
    return factory


def test_a_group_runs_from_bars_to_a_served_model(factory: Factory) -> None:
    pointer = json.loads((factory.folder / "data" / "models" / "mine" / "shadow.json").read_text())
    manifest = factory.folder / "data" / "models" / "mine" / pointer["version"] / "manifest.json"
    assert json.loads(manifest.read_text())["stage"] == "shadow"


def test_the_run_is_kept_for_the_ui(factory: Factory) -> None:
    runs = factory.folder / "home" / "history" / "runs.db"
    with sqlite3.connect(runs) as connection:
        (status,) = connection.execute("SELECT status FROM runs").fetchone()
    assert status == "SUCCESS"


def test_a_dataset_corrupted_on_disk_stops_the_run_and_the_deployment(factory: Factory) -> None:
    path = factory.current("offline_dataset") / "dataset.parquet"
    intact = path.read_bytes()
    dataset = pd.read_parquet(path)
    dataset["return_24h"] = dataset["return_24h"] * np.float32(1.5)
    dataset.to_parquet(path, index=False)
    before, versions = (
        factory.built(),
        sorted((factory.folder / "data" / "models" / "mine").iterdir()),
    )
    try:
        whole = factory.materialize("group:mine")
        assert whole.returncode == 1
        assert "must be as it was sealed, was changed since" in whole.stdout + whole.stderr
        after = factory.built()
        for downstream in ("regime_dataset", "bc_policy", "ppo_policy", "prediction_validation"):
            assert after[downstream] == before[downstream], downstream

        alone = factory.materialize("mine/deployed_model")
        assert alone.returncode == 1
        assert "must be as it was sealed, was changed since" in alone.stdout + alone.stderr
        assert sorted((factory.folder / "data" / "models" / "mine").iterdir()) == versions
    finally:
        path.write_bytes(intact)


def test_a_source_whose_targets_are_impossible_is_stopped_by_a_blocking_check(
    tmp_path: Path,
) -> None:
    factory = Factory(tmp_path)
    bars = pd.read_parquet(tmp_path / "bars.parquet")
    bars.loc[1500:1501, ["open", "high", "low", "close"]] *= 2.4  # in two rows, and no split
    bars.to_parquet(tmp_path / "bars.parquet", index=False)
    result = factory.materialize("group:mine")
    assert result.returncode == 1
    assert "known_targets_are_within_100_percent" in result.stdout + result.stderr
    assert set(factory.built()) == {"latest_bars", "bars", "backtest_history", "offline_dataset"}


def test_an_update_is_shown_once_and_what_is_not_new_is_no_materialization(tmp_path: Path) -> None:
    """Bars that another command brought in are news to Dagster; then nothing is."""
    factory = Factory(tmp_path)
    said = [factory.materialize("key:mine/latest_bars") for _ in range(2)]
    assert [each.returncode for each in said] == [0, 0]
    assert ["nothing new" in each.stdout + each.stderr for each in said] == [False, True]


@pytest.mark.slow
def test_a_futures_group_runs_from_simulated_bars_to_a_served_model(tmp_path: Path) -> None:
    factory = Factory(tmp_path)
    desk = future_desk().model_dump(mode="json", exclude_defaults=True)
    text = yaml.safe_dump({"kind": "futures", **desk})
    (factory.folder / "desks" / "future.yaml").write_text(text)
    result = factory.materialize("group:future")
    assert result.returncode == 0, result.stdout + result.stderr
    pointer = json.loads(
        (factory.folder / "data" / "models" / "future" / "shadow.json").read_text()
    )
    folder = factory.folder / "data" / "models" / "future" / pointer["version"]
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["data"]["market"] == "SIM-NQ (SIMULATED)"
    assert "SIM-NQ (SIMULATED)" in (folder / "model_card.md").read_text()


def test_a_training_that_fails_fails_its_asset_with_the_reason(tmp_path: Path) -> None:
    factory = Factory(tmp_path)
    desk = factory.folder / "desks" / "mine.yaml"
    settings = yaml.safe_load(desk.read_text())
    settings["ppo"]["rollout_steps"] = 2400  # longer than the training span
    settings["ppo"]["num_minibatches"] = 1
    desk.write_text(yaml.safe_dump(settings))
    result = factory.materialize("group:mine")
    assert result.returncode == 1
    output = result.stdout + result.stderr
    assert "rollout_steps must be shorter than the training span" in output
    assert "ppo_policy" not in factory.built()


def trainings(folder: Path) -> list[int]:
    """Processes that train a desk of this folder."""
    found: list[int] = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            started_as = (process / "cmdline").read_bytes().split(b"\0")
            environment = (process / "environ").read_bytes()
        except OSError:  # it has ended, or is somebody else's
            continue
        if b"rl_core.cli" in started_as and str(folder).encode() in environment:
            found.append(int(process.name))
    return found


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel to end the child")
def test_killing_a_run_leaves_no_training_behind_and_nothing_half_written(tmp_path: Path) -> None:
    factory = Factory(tmp_path)
    desk = factory.folder / "desks" / "mine.yaml"
    settings = yaml.safe_load(desk.read_text())
    settings["ppo"]["iterations"] = 100_000
    desk.write_text(yaml.safe_dump(settings))
    run = subprocess.Popen(
        command("group:mine"),
        env=factory.environment,
        cwd=ROOT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        built_clone = factory.lake / "bc_policy" / "current.json"
        assert wait_until(lambda: built_clone.exists() and bool(trainings(tmp_path)), 120)
    finally:
        run.kill()
        run.wait()
    assert wait_until(lambda: not trainings(tmp_path), 10)
    assert "ppo_policy" not in factory.built()


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs a terminal of its own")
def test_ctrl_c_in_a_terminal_saves_the_training(tmp_path: Path) -> None:
    """On a real pty: the terminal signals the whole group, and the launcher stops its child too."""
    factory = Factory(tmp_path)
    desk = factory.folder / "desks" / "mine.yaml"
    settings = yaml.safe_load(desk.read_text())
    settings["ppo"]["iterations"] = 100_000
    desk.write_text(yaml.safe_dump(settings))
    for step in ("bars", "backtest_history", "offline_dataset", "regime_dataset", "bc_policy"):
        words = ("bc",) if step == "bc_policy" else ("build", step)
        subprocess.run(
            [sys.executable, "-m", "rl_core.cli", *words, "--desk", "mine"],
            env=factory.environment, cwd=ROOT, check=True, capture_output=True,
        )  # fmt: skip
    run, terminal = pty.fork()
    if run == 0:
        os.chdir(ROOT)
        os.execve(sys.executable, command("mine/ppo_policy"), factory.environment)
    seen = b""
    try:
        deadline = time.monotonic() + 120
        while b"ppo: iteration 2/" not in seen and time.monotonic() < deadline:
            seen += os.read(terminal, 65536)
        os.write(terminal, b"\x03")  # Ctrl-C, as a person types it
        while True:
            try:
                if not (more := os.read(terminal, 65536)):
                    break
            except OSError:  # the other end is closed
                break
            seen += more
    finally:
        os.close(terminal)
        _, status = os.waitpid(run, 0)
    assert os.waitstatus_to_exitcode(status) != 0
    saved = list((factory.folder / "data" / "training" / "mine").glob("*/model_interrupted_*"))
    assert len(saved) == 1, seen.decode()[-2000:]
    assert wait_until(lambda: not trainings(tmp_path), 10)
    resumed = subprocess.run(
        [sys.executable, "-m", "rl_core.cli", "ppo", "--desk", "mine", "--resume",
         "--iterations", "12"],
        env=factory.environment, cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert f"resuming from {saved[0].name}" in resumed.stderr


def test_a_broken_desk_takes_no_other_with_it_and_is_named_in_the_ui(tmp_path: Path) -> None:
    factory = Factory(tmp_path)
    image = "<img src=x onerror=alert(1)>"
    wrongs = {
        "typo": "ppo: {itertions: 3}",
        "cron": "retrain: {cron: '9 9'}",
        "a-b": "ppo: 3",  # two names that Dagster's alphabet makes one
        "a b": "ppo: 3",
        "markup": f"owners: ['{image}']",
        "described": f"description: '{image}'",  # nothing wrong with it
    }
    for name, wrong in wrongs.items():
        text = f"bars: {{path: a.csv, symbol: X}}\n{wrong}\n"
        (factory.folder / "desks" / f"{name}.yaml").write_text(text)
    script = (
        "from pipeline.definitions import defs; import dagster as dg\n"
        "graph = defs.resolve_asset_graph()\n"
        "for name in ('typo', 'cron'):\n"
        "    node = graph.get(dg.AssetKey([name, 'settings_are_broken']))\n"
        "    print(node.group_name, node.is_materializable, node.description.split()[-1])\n"
        "broken = [n for n in graph.get_all_asset_keys() if n.path[1] == 'settings_are_broken']\n"
        "print(len(broken), any('<img' in (graph.get(key).description or '') for key in broken))\n"
        "print('<img' in defs.get_job_def('retrain_described').description)\n"
        "print(graph.has(dg.AssetKey(['mine', 'deployed_model'])))\n"
        "print([s.name for s in defs.schedules])\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], env=factory.environment, cwd=ROOT,
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    lines = result.stdout.splitlines()
    assert lines[0].startswith("broken_desks False")
    assert lines[2:5] == ["5 False", "False", "True"]
    assert "retrain_mine_schedule" in lines[5]
    validated = subprocess.run(
        [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "pipeline.definitions"],
        env=factory.environment, cwd=ROOT, check=False, capture_output=True, text=True,
    )  # fmt: skip
    assert validated.returncode == 0, validated.stderr
