"""One ramp, and every use of it in the futures environment."""

import pytest

from rl_core.kinds.futures.env import FuturesEpisodes, FuturesParams
from rl_core.kinds.futures.settings import FuturesEnvConfig, FuturesTrading
from rl_core.learning.envs.curriculum import Ramp, ramped
from tests.futures_market import CPU, episodes, future_bars, prepared


@pytest.mark.parametrize(
    ("progress", "expected"), [(0.0, 1.0), (0.25, 1.75), (0.5, 2.5), (0.75, 2.5), (1.0, 2.5)]
)
def test_a_ramp_by_hand(progress: float, expected: float) -> None:
    assert Ramp(start=1.0, until=0.5).value(progress, 2.5) == expected


def test_without_a_ramp_a_setting_is_itself() -> None:
    assert ramped(None, 0.1, 2.5) == 2.5


EVERYTHING = FuturesEnvConfig.model_validate(
    {
        "curriculum": {
            "commission_usd": {"start": 1.0},
            "stop": {"start": 6.0},
            "target": {"start": 1.0},
            "max_contracts": {"start": 1.0},
            "max_holding_bars": {"start": 30.0, "until": 1.0},
        }
    }
)
TRADING = FuturesTrading.model_validate({"account": {"max_contracts": 5}})


def at(progress: float) -> FuturesEpisodes:
    return episodes(prepared(future_bars()), TRADING, EVERYTHING).at_progress(progress)


def test_commission_distances_size_and_exposure_ramp_to_the_desks_own_settings() -> None:
    first, middle, last = (at(progress).params.terms for progress in (0.0, 0.25, 1.0))
    assert [float(t.commission) for t in (first, middle, last)] == [1.0, 1.75, 2.5]
    assert [float(t.stop_atr) for t in (first, middle, last)] == [6.0, 4.0, 2.0]
    assert [float(t.target_atr) for t in (first, middle, last)] == [1.0, 2.0, 3.0]
    assert [float(t.max_contracts) for t in (first, middle, last)] == [1, 3, 5]
    assert [float(t.max_holding_bars) for t in (first, middle, last)] == [30, 82.5, 240]
    assert [float(term) for term in last] == [float(term) for term in TRADING.terms]


def test_what_is_ramped_is_told_and_the_bonus_is_gone_at_half_time() -> None:
    told = {name: float(value) for name, value in at(0.25).curriculum.items()}
    assert told == pytest.approx(
        {"commission_usd": 1.75, "stop": 4.0, "target": 2.0, "max_contracts": 3.0,
         "max_holding_bars": 82.5, "exploration_bonus": 0.1}
    )  # fmt: skip
    assert float(at(0.5).params.reward.exploration_bonus) == 0.0


def test_evaluation_pays_full_costs_and_knows_no_bonus() -> None:
    params = FuturesParams.full(TRADING, EVERYTHING)
    assert params.terms == params.full_terms == TRADING.terms
    assert params.terms.commission == 2.5
    assert params.reward.exploration_bonus == 0.0
    assert params.ramps == {}


def test_ticks_are_ramped_as_ticks() -> None:
    trading = FuturesTrading.model_validate(
        {"brackets": {"unit": "ticks", "stop": 40, "target": 60}}
    )
    config = FuturesEnvConfig.model_validate({"curriculum": {"stop": {"start": 80}}})
    terms = FuturesParams.at_progress(trading, config, 0.25, CPU).terms
    assert (float(terms.stop_points), float(terms.stop_atr)) == (15.0, 0.0)
