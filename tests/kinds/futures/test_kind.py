"""What a futures desk knows beyond its environment: buy and hold, by hand."""

from types import SimpleNamespace
from typing import Any, cast

import pandas as pd
import pytest

from rl_core.base.units import NS_PER_MINUTE
from rl_core.desk import FuturesDesk
from rl_core.kinds.registry import kind_of

# ES: 50 USD a point, a tick of 0.25; 2 contracts, commission 2.50 a round turn, slippage 1 tick
FILL = 2 * 2.50 / 2 + 2 * 50 * 0.25  # 27.50 USD: half a commission and a tick on two contracts


def test_buy_and_hold_pays_for_its_rolls_and_earns_nothing_across_them() -> None:
    desk = FuturesDesk.model_validate(
        {
            "name": "es", "bars": {"path": "es.parquet", "symbol": "ES", "sessions": {}},
            "contract": {"tick_size": 0.25, "point_value_usd": 50},
            "costs": {"commission_usd": 2.50, "slippage_ticks": 1},
            "account": {"initial_cash": 50_000, "max_contracts": 2},
        }
    )  # fmt: skip
    bars = pd.DataFrame(
        {
            "open": [100.0, 101.0, 150.0, 151.0],
            "close": [100.0, 102.0, 151.0, 149.0],
            "contract": ["H24", "H24", "M24", "M24"],  # the new contract is 48 points higher
        }
    )
    market = cast(Any, SimpleNamespace(bars=bars, ns=pd.RangeIndex(4).to_numpy() * NS_PER_MINUTE))
    walk = kind_of(desk).benchmarks(market, 0, 4)["buy_and_hold"]
    assert walk.equity.tolist() == [
        50_000,
        50_000 + 200 - FILL,  # bought at the first close: 2 points x 2 x 50
        50_000 + 200 - FILL + 100 - 2 * FILL,  # sold one, bought the other: 1 point in the new one
        50_000 + 200 - FILL + 100 - 2 * FILL - 200,
    ]
    assert walk.performance.costs_paid == pytest.approx(3 * FILL / 50_000)
