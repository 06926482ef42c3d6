"""What breaks outside is one line and exit code 2: never a traceback, never a hang."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chain import bars_file, deploy, run_chain
from tests.conftest import small_desk
from tests.crash import KILLED, run_stopped

ROOT = Path(__file__).parents[2]


def run(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rl_core.cli", *arguments],
        capture_output=True, text=True, check=False, timeout=120, cwd=ROOT,
        env={
            **os.environ, "TOLLGATE_DESKS": str(folder), "TOLLGATE_DATA": str(folder / "data"),
            **environment,
        },
    )  # fmt: skip


def refused(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 2, result.stderr
    assert result.stderr.count("\n") == 1, result.stderr
    return result.stderr


def test_a_broken_desk_and_a_pipe_among_the_desks_hide_nothing(tmp_path: Path) -> None:
    (tmp_path / "typo.yaml").write_text("bars: {path: a.csv, symbol: X}\nppo: {itertions: 3}\n")
    os.mkfifo(tmp_path / "pipe.yaml")
    result = run(tmp_path, "desks", TERMINAL_WIDTH="200")
    assert result.returncode == 2
    assert "btc_spot" in result.stdout
    assert "BROKEN" in result.stdout
    assert "ppo.itertions" in result.stdout
    said = refused(run(tmp_path, "settings", "--desk", "pipe"))
    assert "must be a file, was a folder, a pipe or a device" in said


def test_a_data_folder_that_is_none_or_not_writable_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    in_place = {"TOLLGATE_DATA": str(tmp_path / "file")}
    said = refused(run(tmp_path, "models", "list", "--desk", "btc_spot", **in_place))
    assert "TOLLGATE_DATA must be a folder, was a file" in said
    nowhere = {"TOLLGATE_DATA": "/proc/nowhere"}
    said = refused(run(tmp_path, "build", "bars", "--desk", "btc_spot", **nowhere))
    assert "files must be read and written, was not" in said


@pytest.mark.parametrize(
    ("bars", "settings", "message"),
    [
        ("timestamp,open,high,low,close,volume\n1500000000,1,1,1,1,1\n", 'timestamp_format: "%s"',
         "bars.timestamp_format must not use %s"),
        (f"timestamp,{'v' * 140_000}\n2020-01-01,1\n", "skip_rows: 0", "must be a readable csv"),
    ],
    ids=["a format of seconds", "a name of 140 kB"],
)  # fmt: skip
def test_odd_files_are_one_line(tmp_path: Path, bars: str, settings: str, message: str) -> None:
    (tmp_path / "bars.csv").write_text(bars)
    (tmp_path / "odd.yaml").write_text(
        f"bars:\n  path: {tmp_path / 'bars.csv'}\n  symbol: X\n  {settings}\n"
    )
    assert message in refused(run(tmp_path, "bars", "--desk", "odd"))


def test_a_desk_that_does_not_exist_runs_nothing_in_the_demo(tmp_path: Path) -> None:
    """An empty selection would mean every desk."""
    result = subprocess.run(
        ["make", "--dry-run", "demo", "DESK=nobody"],
        capture_output=True, text=True, check=True, cwd=ROOT,
    )  # fmt: skip
    lines = result.stdout.splitlines()
    checked = next(n for n, line in enumerate(lines) if "tollgate settings --desk nobody" in line)
    assert checked < next(n for n, line in enumerate(lines) if "dagster asset materialize" in line)
    said = refused(run(tmp_path, "settings", "--desk", "nobody"))
    assert "desk must be one of btc_spot" in said


def test_a_full_disk_is_one_line_at_every_write(tmp_path: Path) -> None:
    """The command itself, in a fork whose disk fills up before its k-th write."""
    desk = small_desk(bars_file(tmp_path), name="mine").with_settings(
        {"bc.epochs": 1, "ppo.iterations": 1}
    )
    context = run_chain(desk, tmp_path / "data")
    deploy(context)
    other = desk.with_settings({"regime_filter.min_train_rows": 499})  # another artefact
    (tmp_path / "mine.yaml").write_text(other.model_dump_json(exclude_defaults=True))
    served = context.models.pointers()["shadow"]
    said = tmp_path / "said"
    writes = 0
    for stopped in range(100):

        def command(said: Path = said) -> None:
            from rl_core.cli.app import run as run_command

            os.environ |= {
                "TOLLGATE_DESKS": str(tmp_path), "TOLLGATE_DATA": str(tmp_path / "data"),
            }  # fmt: skip
            sys.argv = ["tollgate", "build", "regime_dataset", "--desk", "mine"]
            with said.open("w") as sys.stderr, Path(os.devnull).open("w") as sys.stdout:
                try:
                    run_command()
                except SystemExit as end:
                    sys.stderr.flush()
                    os._exit(KILLED if end.code == 2 else int(end.code or 0))

        code = run_stopped(command, stopped, is_full=True)
        assert code in (0, KILLED), said.read_text()
        if code == 0:
            break
        assert "No space left on device" in said.read_text()
        assert said.read_text().count("\n") == 1
        writes += 1
    assert writes > 4
    assert context.models.pointers()["shadow"] == served
    shutil.rmtree(tmp_path / "data")


def test_damaged_json_is_one_line_whatever_it_says(tmp_path: Path) -> None:
    models = tmp_path / "data" / "models" / "btc_spot"
    models.mkdir(parents=True)
    for text in ("[", "[]", "null", "{}", '{"verzion": 1}', "[" * 100_000, "\x00\xff"):
        (models / "shadow.json").write_text(text)
        said = refused(run(tmp_path, "predict", "--desk", "btc_spot"))
        assert "shadow.json must" in said
    listed = run(tmp_path, "models", "list", "--desk", "btc_spot")
    assert listed.returncode == 0
    assert "shadow.json must" in listed.stderr


def test_a_damaged_version_is_listed_as_damaged_and_the_others_as_they_are(tmp_path: Path) -> None:
    desk = small_desk(bars_file(tmp_path), name="mine").with_settings(
        {"bc.epochs": 1, "ppo.iterations": 1}
    )
    context = run_chain(desk, tmp_path / "data")
    first, second = (deploy(context).manifest.version for _ in range(2))
    (tmp_path / "mine.yaml").write_text(desk.model_dump_json(exclude_defaults=True))
    manifest = context.models.directory / first / "manifest.json"
    manifest.write_text(manifest.read_text()[:-40])
    listed = run(tmp_path, "models", "list", "--desk", "mine", "--json")
    assert listed.returncode == 0, listed.stderr
    import json

    rows = {row["version"]: row for row in json.loads(listed.stdout)}
    assert "must be whole JSON" in rows[first]["problem"]
    assert rows[second]["serving"] == "shadow"
    assert run(tmp_path, "predict", "--desk", "mine").returncode == 0
    shown = refused(run(tmp_path, "models", "show", first, "--desk", "mine"))
    assert "must be whole JSON" in shown


def test_clean_shows_first_and_removes_only_when_told(tmp_path: Path) -> None:
    desk = small_desk(bars_file(tmp_path), name="mine")
    (tmp_path / "mine.yaml").write_text(desk.model_dump_json(exclude_defaults=True))
    for rows in ("499", "498", "497"):
        (tmp_path / "mine.yaml").write_text(
            desk.with_settings({"quality.jump_return": float(f"0.{rows}")}).model_dump_json(
                exclude_defaults=True
            )
        )
        assert run(tmp_path, "build", "bars", "--desk", "mine").returncode == 0
    lake = tmp_path / "data" / "lake" / "mine" / "bars"
    assert len(list(lake.glob("*/seal.json"))) == 3
    shown = run(tmp_path, "clean", "--desk", "mine", "--keep", "1")
    assert "nothing was removed: add --delete to do it" in shown.stdout
    assert len(list(lake.glob("*/seal.json"))) == 3
    done = run(tmp_path, "clean", "--desk", "mine", "--keep", "1", "--delete")
    assert "removed 6" in done.stdout  # two of bars with their verdicts, two of latest_bars
    assert len(list(lake.glob("*/seal.json"))) == 1
