"""`tollgate data` and `settings --schema`, run as a user runs them."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rl_core.lab.markets.spot import simulate_bars

ROOT = Path(__file__).parents[2]


def tollgate(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "desks").mkdir(exist_ok=True)
    environment = {
        **os.environ, "TOLLGATE_DATA": str(folder / "data"),
        "TOLLGATE_DESKS": str(folder / "desks"), "PYTHONPATH": str(ROOT),
    }  # fmt: skip
    return subprocess.run(
        [sys.executable, "-m", "rl_core.cli", *arguments],
        env=environment, cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    simulate_bars(1000, seed=1).to_csv(tmp_path / "ABC_1h.csv", index=False, sep=";")
    return tmp_path / "ABC_1h.csv"


def test_a_sound_file_is_shown_with_what_was_understood(file: Path) -> None:
    shown = tollgate(file.parent, "data", "check", file.name)
    assert (shown.returncode, shown.stderr) == (0, "")
    for part in ("ABC", "most bars are that far apart", "always open", "0 in 0 gaps",
                 "note: cells are separated by a semicolon", "prices_are_adjusted"):  # fmt: skip
        assert part in shown.stdout
    told = json.loads(tollgate(file.parent, "data", "check", file.name, "--json").stdout)
    assert told["settings"] == {"path": "ABC_1h.csv", "symbol": "ABC", "interval": "1h"}
    assert told["error"] is None


def test_a_file_with_a_split_exits_1_and_one_that_breaks_the_contract_2(file: Path) -> None:
    bars = simulate_bars(1000, seed=1)
    split = bars.copy()
    prices = ["open", "high", "low", "close"]
    split.loc[500:, prices] /= 4
    split.to_csv(file, index=False)
    shown = tollgate(file.parent, "data", "check", file.name)
    assert shown.returncode == 1
    assert "row 502" in shown.stdout  # its line
    swapped = bars.rename(columns={"high": "low", "low": "high"})
    swapped.to_csv(file, index=False)
    shown = tollgate(file.parent, "data", "check", file.name)
    assert shown.returncode == 2
    assert "refused: bars must have high >= open and close" in shown.stdout
    missing = tollgate(file.parent, "data", "check", "nope.csv")
    assert (missing.returncode, missing.stdout) == (2, "")
    assert missing.stderr == f"tollgate: bars must come from an existing file, was {'nope.csv'}\n"


def test_a_file_becomes_a_desk_whose_bars_can_be_built(file: Path) -> None:
    folder = file.parent
    added = tollgate(folder, "data", "add", file.name, "--desk", "mine")
    assert added.returncode == 0, added.stderr
    assert f"wrote {folder / 'desks' / 'mine.yaml'}" in added.stdout
    text = (folder / "desks" / "mine.yaml").read_text()
    assert f'path: "{file}"' in text  # absolute: it is found from wherever
    assert 'interval: "1h"  # most bars are that far apart' in text
    built = tollgate(folder, "build", "bars", "--desk", "mine", "--json")
    assert built.returncode == 0, built.stderr
    again = tollgate(folder, "data", "add", file.name, "--desk", "mine")
    assert again.returncode == 2
    assert "the name of a desk must be new, was mine" in again.stderr


@pytest.mark.parametrize("name", ["My-Desk", "../x", "1st", ""])
def test_a_name_that_no_desk_can_have_writes_nothing(file: Path, name: str) -> None:
    added = tollgate(file.parent, "data", "add", file.name, "--desk", name)
    assert added.returncode == 2
    assert "name" in added.stderr
    assert list((file.parent / "desks").iterdir()) == []


def test_the_schema_of_each_kind_is_printed(tmp_path: Path) -> None:
    for kind in ("spot", "futures", "portfolio"):
        schema = json.loads(tollgate(tmp_path, "settings", "--schema", kind).stdout)
        assert schema["properties"]["kind"]["const"] == kind
    wrong = tollgate(tmp_path, "settings", "--schema", "options")
    assert wrong.stderr == (
        "tollgate: --schema must be one of spot, futures, portfolio, was options\n"
    )
    assert tollgate(tmp_path, "settings").returncode == 2
