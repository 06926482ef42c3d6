"""One file makes a desk for each of its symbols, and each is a desk like any other."""

from pathlib import Path

import pytest

from rl_core.base.errors import TollgateError
from rl_core.desk import desk_files, load_desk, read_desks

TEMPLATE = """
desks:
  template:
    description: "{symbol}, hour by hour"
    bars: {path: "prices/{symbol}.csv", interval: 1h}
    costs: {commission_rate: 0.001, half_spread_rate: 0.0001}
  symbols:
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TOLLGATE_DESKS", str(tmp_path))
    return tmp_path


def test_a_file_makes_a_desk_for_each_symbol(folder: Path) -> None:
    (folder / "majors.yaml").write_text(TEMPLATE + "    [BTC-USD, ETH/USD]\n")
    assert desk_files()["majors_eth_usd"] == [folder / "majors.yaml"]
    assert "majors" not in desk_files()
    desk = load_desk("majors_btc_usd")
    assert desk.bars.path == Path("prices/BTC-USD.csv")
    assert (desk.bars.symbol, desk.description) == ("BTC-USD", "BTC-USD, hour by hour")
    assert load_desk("majors_eth_usd").bars.symbol == "ETH/USD"


def test_a_symbol_may_have_settings_of_its_own(folder: Path) -> None:
    (folder / "majors.yaml").write_text(
        TEMPLATE + "    {BTC-USD: {}, ETH-USD: {costs: {half_spread_rate: 0.0002}}}\n"
    )
    costs = {
        name: load_desk(f"majors_{name}").resolved()["costs"] for name in ("btc_usd", "eth_usd")
    }
    assert costs["btc_usd"]["half_spread_rate"] == 0.0001
    assert costs["eth_usd"]["half_spread_rate"] == 0.0002
    assert costs["eth_usd"]["commission_rate"] == 0.001


@pytest.mark.parametrize(
    ("symbols", "said"),
    [
        ("    []", "symbols"),
        ("    [BTC-USD, BTC-USD]", "symbols must differ, was one of them twice"),
        ("    [BTC-USD, BTC/USD]", "must make different names, was majors_btc_usd twice"),
        ("    [X]\n  other: 1", "other"),
        ("    [X]\nname: y", "must hold desks alone, was with name too"),
    ],
)
def test_a_broken_template_is_one_broken_desk(folder: Path, symbols: str, said: str) -> None:
    (folder / "majors.yaml").write_text(TEMPLATE + symbols + "\n")
    desks, broken = read_desks()
    assert len(desks) == 3
    assert said in broken["majors"]
    with pytest.raises(TollgateError):
        load_desk("majors")


def test_one_wrong_symbol_hides_no_other(folder: Path) -> None:
    (folder / "majors.yaml").write_text(
        TEMPLATE + "    {BTC-USD: {}, ETH-USD: {costs: {nosuch: 1}}}\n"
    )
    desks, broken = read_desks()
    assert "majors_btc_usd" in {desk.name for desk in desks}
    assert "costs.nosuch" in broken["majors_eth_usd"]


def test_hundreds_of_desks_come_from_one_file(folder: Path) -> None:
    symbols = ", ".join(f"S{at:03}" for at in range(300))
    (folder / "many.yaml").write_text(TEMPLATE + f"    [{symbols}]\n")
    desks, broken = read_desks()
    assert (len(desks), broken) == (303, {})
