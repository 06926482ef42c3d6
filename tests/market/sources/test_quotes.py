"""Bid and ask: mids as prices, half the spread of each open as a cost."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rl_core.base.errors import TollgateError
from rl_core.market.bars import half_spread
from rl_core.market.readers import read_bars, read_raw_bars
from rl_core.market.repairs import without_impossible
from rl_core.market.settings import BarsConfig, QualityConfig

ROWS = """\
2024-01-01 00:00,1.0998,1.1002,1.0999,1.1005,1.0990,1.0994,1.0996,1.1000,5
2024-01-01 01:00,1.0999,1.1001,1.1010,1.1012,1.0995,1.0999,1.1008,1.1012,7
"""
NAMES = {
    "snake": "time,bid_open,ask_open,bid_high,ask_high,bid_low,ask_low,bid_close,ask_close,volume",
    "camel": "Time,BidOpen,AskOpen,BidHigh,AskHigh,BidLow,AskLow,BidClose,AskClose,Volume",
    "price first": "ts,open_bid,open_ask,high_bid,high_ask,low_bid,low_ask,close_bid,close_ask,vol",
    "letters": "time,bid.o,ask.o,bid.h,ask.h,bid.l,ask.l,bid.c,ask.c,volume",
}


def config(path: Path, **settings: object) -> BarsConfig:
    return BarsConfig.model_validate({"path": path, "symbol": "EURUSD", **settings})


def written(folder: Path, text: str) -> Path:
    path = folder / "eurusd.csv"
    path.write_text(text)
    return path


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES.keys())
def test_prices_are_mids_and_the_spread_of_the_open_is_kept(tmp_path: Path, names: str) -> None:
    raw = read_raw_bars(config(written(tmp_path, f"{names}\n{ROWS}")), tmp_path)
    assert raw.frame["open"].tolist() == pytest.approx([1.1000, 1.1000])
    assert raw.frame["high"].tolist() == pytest.approx([1.1002, 1.1011])
    assert raw.frame["low"].tolist() == pytest.approx([1.0992, 1.0997])
    assert raw.frame["close"].tolist() == pytest.approx([1.0998, 1.1010])
    # (1.1002 - 1.0998) / 2 / 1.1 and (1.1001 - 1.0999) / 2 / 1.1
    assert half_spread(raw.frame).tolist() == pytest.approx([0.0002 / 1.1, 0.0001 / 1.1])
    assert any("are quotes" in note for note in raw.notes)


def test_names_that_nobody_would_guess_are_mapped(tmp_path: Path) -> None:
    own = "time,a,b,c,d,e,f,g,h,volume"
    quotes = [f"{side}_{price}" for price in ("open", "high", "low", "close") for side in
              ("bid", "ask")]  # fmt: skip
    mapped = config(
        written(tmp_path, f"{own}\n{ROWS}"), columns=dict(zip(quotes, "abcdefgh", strict=True))
    )
    assert half_spread(read_raw_bars(mapped, tmp_path).frame)[0] == pytest.approx(0.0002 / 1.1)


def test_a_desk_may_take_one_side(tmp_path: Path) -> None:
    one = {price: f"bid_{price}" for price in ("open", "high", "low", "close")}
    path = written(tmp_path, f"{NAMES['snake']}\n{ROWS.replace('1.0990', '1.0980')}")
    frame = read_raw_bars(config(path, columns=one), tmp_path).frame
    assert frame["open"].tolist() == [1.0998, 1.0999]
    assert not half_spread(frame).any()


def test_a_crossed_quote_is_named_with_its_row(tmp_path: Path) -> None:
    path = written(tmp_path, f"{NAMES['snake']}\n{ROWS.replace('1.1001', '1.0901')}")
    with pytest.raises(TollgateError, match=r"ask must not be below its bid.*ask_open.*row 3"):
        read_raw_bars(config(path), tmp_path)


@pytest.mark.parametrize("value", ["-0.001", "0.5", "inf", "nan"])
def test_a_spread_that_is_none_is_refused(tmp_path: Path, value: str) -> None:
    text = "timestamp,open,high,low,close,volume,half_spread\n"
    text += "2024-01-01 00:00,10,10,10,10,5,0.001\n2024-01-01 01:00,10,10,10,10,5," + value
    with pytest.raises(TollgateError, match=r"half_spread"):
        read_bars(config(written(tmp_path, text)), tmp_path)


def test_sides_that_are_bars_have_mids_that_are_bars(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.01, 200)))
    opens = np.concatenate([[100.0], close[:-1]])
    bid = {"open": opens, "close": close}
    bid["high"] = np.maximum(opens, close) * (1 + rng.uniform(0, 0.01, 200))
    bid["low"] = np.minimum(opens, close) * (1 - rng.uniform(0, 0.01, 200))
    spread = rng.uniform(0, 0.1, 200)  # one a bar, so that asks are bars too
    quotes = {f"bid_{n}": v for n, v in bid.items()}
    quotes |= {f"ask_{n}": v + spread for n, v in bid.items()}
    times = pd.date_range("2024-01-01", periods=200, freq="1h", tz="UTC")
    path = tmp_path / "quotes.parquet"
    pd.DataFrame({"timestamp": times, **quotes, "volume": 1.0}).to_parquet(path)
    bars = read_bars(config(path), tmp_path)
    np.testing.assert_allclose(half_spread(bars), spread / 2 / bars["open"])


def test_prices_that_stand_beside_quotes_are_the_prices(tmp_path: Path) -> None:
    names = f"{NAMES['snake']},open,high,low,close"
    rows = "\n".join(f"{row},2,2.2,1.9,2.1" for row in ROWS.strip().split("\n"))
    raw = read_raw_bars(config(written(tmp_path, f"{names}\n{rows}\n")), tmp_path)
    assert raw.frame["open"].tolist() == [2, 2]
    assert not half_spread(raw.frame).any()
    assert any("stand beside quotes" in note for note in raw.notes)


@pytest.mark.parametrize("bad", ["n/a", "1.0901", "0", "-1"])
def test_a_quote_that_cannot_be_is_left_out_on_request(tmp_path: Path, bad: str) -> None:
    text = f"{NAMES['snake']}\n{ROWS}{ROWS.replace('2024-01-01', '2024-01-02')}"
    rows = text.replace("2024-01-02 00:00,1.0998,1.1002", f"2024-01-02 00:00,1.0998,{bad}")
    raw = read_raw_bars(config(written(tmp_path, rows)), tmp_path, keeps_impossible=True)
    left = without_impossible(raw, QualityConfig(repair=("contract",)))
    assert [f"{time:%d %H}" for time in left.frame["timestamp"]] == ["01 00", "01 01", "02 01"]


def test_unreadable_volume_is_no_market_without_volume(tmp_path: Path) -> None:
    rows = ROWS.replace(",5\n", ",?\n").replace(",7\n", ",?\n")
    path = written(tmp_path, f"{NAMES['snake']}\n{rows}")
    with pytest.raises(TollgateError, match="volume must hold numbers, was without one"):
        read_raw_bars(config(path), tmp_path, keeps_impossible=True)
