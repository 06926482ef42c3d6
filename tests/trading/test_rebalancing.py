"""What rebalancing costs, by hand."""

import numpy as np
import pytest
import torch

from rl_core.kinds.portfolio.costs import draw_slippage, stock_impact_scale
from rl_core.kinds.portfolio.settings import PortfolioCostConfig
from rl_core.trading.rebalancing import (
    Recent,
    buy_with,
    cost_rate,
    is_trade,
    portfolio_features,
    remember,
    wanted_change,
)
from tests.panels import days


def test_the_named_preset_counts_the_trade_in_shares_of_equity() -> None:
    rates = PortfolioCostConfig(commission_rate=0.0, half_spread_rate=0.0002).rates
    # a twentieth of the account: 0.01 x sqrt(0.05) = 0.2236%, half-spread 0.02%, slippage 0.03%
    rate = cost_rate(-5_000.0, 100_000.0, 0.0003, 0.01, rates)
    assert rate == pytest.approx(0.0002 + 0.0003 + 0.0022360680)
    assert cost_rate(-50_000.0, 1_000_000.0, 0.0003, 0.01, rates) == pytest.approx(rate)


def test_the_law_of_volume_counts_it_in_money_and_is_capped() -> None:
    costs = PortfolioCostConfig(
        commission_rate=0, half_spread_rate=0, impact="volume_sqrt", max_impact_rate=0.04
    )
    # sigma 2%, a trade of 1% of what a day trades: 1 x 0.02 x sqrt(0.01) = 0.2%
    scale = stock_impact_scale(costs, np.full((1, 1), 0.02), np.full((1, 1), 1e6)).item()
    assert cost_rate(1e4, 1e9, 0.0, scale, costs.rates) == pytest.approx(0.002)
    assert cost_rate(1e8, 1e9, 0.0, scale, costs.rates) == pytest.approx(0.04)
    unknown = stock_impact_scale(costs, np.array([[np.nan, 0.02]]), np.array([[1e6, 0.0]]))
    for each in unknown.ravel():
        assert cost_rate(1e4, 1e9, 0.0, each, costs.rates) == 0.04


def test_slippage_is_drawn_by_day_and_symbol_and_always_against_us() -> None:
    costs = PortfolioCostConfig()
    drawn = draw_slippage(costs, days(500), ("AAPL", "MSFT"))
    assert 0 <= drawn.min() < 2e-6
    assert 0.000499 < drawn.max() <= 0.0005
    assert drawn.mean() == pytest.approx(0.00025, rel=0.05)
    assert np.asarray(np.corrcoef(drawn.T))[0, 1] == pytest.approx(0, abs=0.1)
    more = draw_slippage(costs, days(600)[100:], ("AA", "AAPL", "MSFT"))
    assert np.array_equal(more[:400, 1:], drawn[100:])
    other = draw_slippage(PortfolioCostConfig(slippage_seed=1), days(500), ("AAPL",))
    assert not np.isclose(other[:, 0], drawn[:, 0]).any()


def test_cash_buys_what_it_pays_for_and_is_never_negative() -> None:
    assert tuple(buy_with(100.0, 50.0)) == (1.0, 50.0)
    assert tuple(buy_with(100.0, 200.0)) == (0.5, 0.0)
    assert tuple(buy_with(0.0, 0.0)) == (1.0, 0.0)
    both = buy_with(torch.tensor([100.0, 100.0, 0.0]), torch.tensor([50.0, 200.0, 0.0]))
    assert both.share.tolist() == [1.0, 0.5, 1.0]
    assert both.cash.tolist() == [50.0, 0.0, 0.0]


def test_what_cannot_trade_keeps_its_units() -> None:
    assert wanted_change(30.0, 0.5, 100.0, 1.0, 1.0) == 20.0
    assert wanted_change(30.0, 0.5, 100.0, 0.0, 1.0) == 0.0
    assert wanted_change(30.0, 0.5, 100.0, 1.0, 0.0) == 0.0


def test_memory_fades_by_its_own_rates() -> None:
    recent = remember(Recent(0.0, 0.0, 0.0, 0.0, 0.0, 1e6), 0.01, 0.002, 1.0)
    assert recent == pytest.approx((0.01, 0.01, 0.01, 0.002, 0.002, 0.0))
    later = remember(recent, -0.02, 0.0, 0.0)
    assert later == pytest.approx((-0.02, 0.008 - 0.02, 0.0095 - 0.02, 0.0019, 0.002, 1.0))


def test_account_features_by_hand() -> None:
    exposures = np.array([[[1.0, -1.0], [0.5, 0.5], [0.0, 1.0], [-1.0, 0.0]]])
    recent = Recent(*(np.array([value]) for value in (0.01, 0.02, 0.03, 0.001, 0.0005, 10.0)))
    columns = portfolio_features(
        np.array([[0.6, 0.2]]), np.array([[0.5, 0.5]]), exposures, recent, np.array([0.1]), np.tanh
    )
    assert np.concatenate(columns) == pytest.approx(
        [0.2, 0.4, 0.4, 0.2, -0.6, 0.4, 0.2, 1.0, 2.0, 3.0, 0.1, 1.0, 0.5, np.tanh(1.0)]
    )


def test_dust_is_no_trade() -> None:
    assert is_trade(1.1, 100_000.0)
    assert not is_trade(0.9, 100_000.0)
