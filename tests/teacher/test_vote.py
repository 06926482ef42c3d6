"""The analysts and their vote, by hand, and blind to the future."""

from collections.abc import Callable
from dataclasses import fields

import numpy as np
import pandas as pd
import pytest

from rl_core.features.indicators import Indicators
from rl_core.features.prepare import PreparedMarket
from rl_core.lab.markets.spot import simulate_bars
from rl_core.teacher.analysts import news_signal, risk_signal, technical_signal
from rl_core.teacher.settings import (
    AnalystWeights,
    EnsembleConfig,
    NewsConfig,
    RiskConfig,
    TechnicalConfig,
)
from rl_core.teacher.vote import Vote, ensemble_vote
from rl_core.trading.accounts import BUY, HOLD, SELL


def indicators(**columns: list[float]) -> Indicators:
    length = len(next(iter(columns.values())))
    blank = {field.name: np.zeros(length) for field in fields(Indicators)}
    return Indicators(**{**blank, **{name: np.array(c) for name, c in columns.items()}})


MARKET = indicators(
    momentum=[0.5, 1.5, -1.5, 3.0, 1.5, float("nan")],
    macd_signal=[0.1, 0.1, -0.1, 0.1, -0.1, float("nan")],
    rsi=[0.5, 0.6, 0.4, 0.9, 0.6, float("nan")],
)


def test_the_technical_analyst_follows_a_trend_that_macd_confirms() -> None:
    signal = technical_signal(MARKET, TechnicalConfig())
    assert signal.action.tolist() == [HOLD, BUY, SELL, HOLD, HOLD, HOLD]
    assert signal.strength.tolist() == [0.0, 0.75, 0.75, 0.0, 0.0, 0.0]
    assert [signal.reasons[code] for code in signal.reason] == [
        "no trend",
        "rising, MACD agrees",
        "falling, MACD agrees",
        "move is exhausted",
        "no trend",
        "no trend",
    ]


def test_the_news_analyst_abstains_without_news() -> None:
    sentiment = np.array([[0.0, 0.0], [0.5, 0.1], [-0.9, 0.1], [0.2, -0.1]])
    signal = news_signal(sentiment, NewsConfig())
    assert signal.action.tolist() == [HOLD, BUY, SELL, HOLD]
    assert signal.strength.tolist() == pytest.approx([0.0, 0.3, 0.4, 0.0])


def test_the_risk_analyst_leaves_unsound_data_and_a_volatile_fall() -> None:
    signal = risk_signal(
        indicators(momentum=[0.0, -1.0, -1.0, 1.0]),
        np.array([1, 1, 2, 2], dtype=np.int8),
        np.array([0.5, 1.0, 1.0, 1.0]),
        RiskConfig(),
    )
    assert signal.action.tolist() == [SELL, HOLD, SELL, HOLD]


def vote(config: EnsembleConfig) -> Vote:
    health = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 0.0])
    sentiment = np.array(
        [[0.0, 0.0], [-1.0, -1.0], [-1.0, -1.0], [1.0, 1.0], [0.0, 0.0], [0.0, 0.0]]
    )
    return ensemble_vote(MARKET, np.ones(6, dtype=np.int8), health, sentiment, config)


def test_votes_are_weighted_and_abstentions_do_not_dilute() -> None:
    weighted = EnsembleConfig(weights=AnalystWeights(technical=2.0, news=1.0, risk=1.0))
    result = vote(weighted)
    # bar 5: the risk analyst sells, which means flat
    # bar 1: technical +0.75 x 2, news -1: 0.5 / 3; bar 2: -1.5 and -1 over 3; bar 3: news alone
    assert result.action.tolist() == [HOLD, BUY, SELL, BUY, HOLD, SELL]
    assert result.strength.tolist() == pytest.approx([0.0, 0.5 / 3, 2.5 / 3, 1.0, 0.0, 0.0])


def test_an_analyst_with_weight_zero_has_no_say() -> None:
    result = vote(EnsembleConfig(weights=AnalystWeights(technical=0.0, news=0.0, risk=0.0)))
    assert not result.action.any()


def test_no_decision_changes_when_later_bars_do(
    prepare: Callable[[pd.DataFrame], PreparedMarket],
) -> None:
    bars = simulate_bars(1000, seed=5)
    other = bars.copy()
    other.loc[800:, ["open", "high", "low", "close"]] *= 3.0
    votes = [
        ensemble_vote(m.indicators, m.regime, m.health, m.sentiment, EnsembleConfig())
        for m in (prepare(bars), prepare(other))
    ]
    np.testing.assert_array_equal(votes[0].action[:800], votes[1].action[:800])
    np.testing.assert_array_equal(votes[0].strength[:800], votes[1].strength[:800])
