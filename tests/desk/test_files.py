"""One broken desk does not hide the others, and what Dagster would refuse is refused here."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rl_core.base.errors import TollgateError
from rl_core.base.strict_yaml import read_yaml
from rl_core.desk import desk_files, load_desk, read_desks
from rl_core.kinds.settings import RetrainConfig

GOOD = "bars: {path: bars.parquet, symbol: X}\n"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOLLGATE_DESKS", str(tmp_path))
    (tmp_path / "fine.yaml").write_text(GOOD)
    return tmp_path


def test_a_broken_desk_is_named_and_the_others_are_read(folder: Path) -> None:
    (folder / "typo.yaml").write_text(GOOD + "ppo: {itertions: 3}\n")
    (folder / "cron.yaml").write_text(GOOD + "retrain: {cron: '99 99 99 99 99'}\n")
    (folder / "owner.yaml").write_text(GOOD + "owners: [nobody]\n")
    (folder / "my-desk.yaml").write_text(GOOD)
    os.mkfifo(folder / "pipe.yaml")
    (folder / "folder.yaml").mkdir()
    desks, broken = read_desks()
    assert [desk.name for desk in desks] == ["btc_spot", "index_futures", "us_portfolio", "fine"]
    assert set(broken) == {"typo", "cron", "owner", "my-desk", "pipe", "folder"}
    assert "ppo.itertions: must be a known setting, was 3" in broken["typo"]
    assert "cron must be five fields such as 0 6 * * 1" in broken["cron"]
    assert "owners.0" in broken["owner"]
    assert "name" in broken["my-desk"]
    assert "must be a file, was a folder, a pipe or a device" in broken["pipe"]
    assert "must be a file, was a folder, a pipe or a device" in broken["folder"]


def test_yml_is_an_ending_too_and_hidden_files_are_none(folder: Path) -> None:
    (folder / "other.yml").write_text(GOOD)
    (folder / ".hidden.yaml").write_text("nonsense")
    (folder / "notes.txt").write_text("nonsense")
    assert load_desk("other").name == "other"
    assert {"fine", "other"} <= set(desk_files())


def test_two_files_of_one_name_are_named_and_hide_no_other_desk(folder: Path) -> None:
    (folder / "other.yml").write_text(GOOD)
    (folder / "other.yaml").write_text(GOOD)
    (folder / "btc_spot.yaml").write_text(GOOD)  # a name that Tollgate's own desk has
    desks, broken = read_desks()
    assert {desk.name for desk in desks} == {"index_futures", "us_portfolio", "fine"}
    assert set(broken) == {"other", "btc_spot"}
    assert str(folder / "other.yml") in broken["other"]
    with pytest.raises(TollgateError, match=r"desk names must differ, was other in .* and "):
        load_desk("other")
    assert load_desk("fine").name == "fine"


@pytest.mark.parametrize("zone", ["America", "", "Mars/Olympus", "../UTC", "UTC\n", "x" * 300])
def test_a_time_zone_that_is_none_breaks_its_own_desk_alone(folder: Path, zone: str) -> None:
    (folder / "zone.yaml").write_text(GOOD + f"retrain: {{timezone: {json.dumps(zone)}}}\n")
    desks, broken = read_desks()
    assert "fine" in {desk.name for desk in desks}
    assert "timezone must be one such as UTC" in broken["zone"]


@pytest.mark.parametrize(
    "cron", ["0 6 * * 1", "*/15 * * * *", "0 6 1 1,4,7,10 *", "30 2 * * mon", "@daily",
             "0 6 30 2 *", "0 6 31 2 1", "0 6 30,1 2 1", "0 6 * *", "61 * * * *", "0 6 * * 1 0", "",
             "every monday"]
)  # fmt: skip
def test_a_cron_line_is_taken_if_and_only_if_dagster_takes_it(cron: str) -> None:
    from dagster._utils.schedules import is_valid_cron_string

    try:
        RetrainConfig(cron=cron)
        is_taken = True
    except ValueError:
        is_taken = False
    assert is_taken == (is_valid_cron_string(cron) and not cron.startswith("@"))


@given(st.lists(st.sampled_from(["0", "59", "*", "*/5", "1-5", "L", "x", "31", "2", "7"]),
                min_size=5, max_size=5))  # fmt: skip
def test_whatever_is_taken_dagster_takes_too(fields: list[str]) -> None:
    from dagster._utils.schedules import is_valid_cron_string

    cron = " ".join(fields)
    try:
        RetrainConfig(cron=cron)
    except ValueError:
        return
    assert is_valid_cron_string(cron)


@pytest.mark.parametrize(
    ("text", "value"),
    [("3e-4", 3e-4), ("1:30", "1:30"), ("0100", "0100"), ("0x10", "0x10"), ("12", 12),
     ("1_000", 1000), ("-2.5", -2.5), ("on", True), ("1e5", 1e5), (".5", 0.5)],
)  # fmt: skip
def test_numbers_read_as_people_write_them(tmp_path: Path, text: str, value: object) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(f"value: {text}\n")
    assert read_yaml(path) == {"value": value}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 3000, "nested too deep"),
        ("a: " + "9" * 6000, "must be plain YAML"),
        ("a: !!python/object:os.system {}", "must be plain YAML"),
        ("a: 1\na: 2", "key a stands twice"),
        ("x" * 1_100_000, "must have at most 1,000,000 bytes"),
    ],
)
def test_hostile_yaml_is_one_error(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(text)
    with pytest.raises(TollgateError, match=message):
        read_yaml(path)


@pytest.mark.parametrize(
    "symbol", ["SIM<script>", "a\nb", "a|b", "[x](y)", "", " lead", "x" * 65, "\x1b[2J"]
)
def test_a_symbol_with_markup_is_refused_when_the_desk_is_read(folder: Path, symbol: str) -> None:
    import json

    (folder / "odd.yaml").write_text(f"bars: {{path: a.csv, symbol: {json.dumps(symbol)}}}\n")
    with pytest.raises(TollgateError, match="symbol"):
        load_desk("odd")


@pytest.mark.parametrize(
    "symbol", ["BTCUSD", "EURUSD=X", "^GSPC", "BRK.B", "BTC/USDT:USDT", "SIM-NQ"]
)
def test_symbols_as_markets_write_them_are_taken(folder: Path, symbol: str) -> None:
    (folder / "even.yaml").write_text(f"bars: {{path: a.csv, symbol: '{symbol}'}}\n")
    assert load_desk("even").bars.symbol == symbol
