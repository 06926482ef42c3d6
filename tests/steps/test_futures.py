"""The futures desk: the same chain, link by link, on a few simulated sessions."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from rl_core.base.errors import TollgateError
from rl_core.desk import FuturesDesk, parse_desk
from rl_core.kinds.futures.state import FUTURES_STATE
from rl_core.lab.markets.futures import simulate_future
from rl_core.learning.ppo.tracker import TradeSummary
from rl_core.market.settings import FuturesSimulation, SessionConfig
from rl_core.steps.backtest_history import HISTORY
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.prediction import predict_latest
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.reading import read_bars, read_thresholds
from rl_core.steps.regime_dataset import REGIMES
from rl_core.steps.runner import build, require_checks_passed, verdicts
from rl_core.trading.accounts import HOLD
from rl_core.trading.brackets import TARGET
from tests.chain import (
    OPTIONS,
    changed,
    deploy,
    heard,
    read_dataset,
    read_market,
    read_report,
    run_chain,
)
from tests.conftest import LENIENT
from tests.steps.ppo_policy.test_training import interrupt, same, weights

CPU = torch.device("cpu")
PRICES = ["open", "high", "low", "close"]


def future_desk(**settings: object) -> FuturesDesk:
    """A futures desk whose whole chain runs in seconds."""
    base: dict[str, object] = {
        "name": "future",
        "bars": {
            "simulated": {"sessions": 14, "start": "2024-03-05", "signal_r2": 0.01},
            "symbol": "SIM-NQ", "interval": "1min", "sessions": {},
        },
        "dataset": {"max_unknown_share": 0.5, "lookahead_probes": 4},
        "model": {"hidden_dim": 32, "head_dim": 16},
        "bc": {"epochs": 3, "batch_size": 512, "label_smoothing": 0.05},
        "ppo": {"num_envs": 64, "rollout_steps": 16, "iterations": 6, "evaluate_every": 3,
                "num_minibatches": 4, "critic_warmup_iterations": 1, "checkpoint_every": 2,
                "entropy_coefficient": 0.05},
        "environment": {"episode_bars": 120},
        "gate": LENIENT,
    }  # fmt: skip
    return FuturesDesk.model_validate({**base, **settings})


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> DeskContext:
    work = run_chain(future_desk(), tmp_path_factory.mktemp("future"))
    deploy(work)
    return work


def history_of(work: DeskContext) -> list[dict[str, Any]]:
    return work.open_artifact(PPO).read_json("history.json")


def test_every_check_between_the_links_holds(work: DeskContext) -> None:
    for step in (BARS, HISTORY, OFFLINE_DATASET):
        for check in verdicts(work, step):
            assert check.passed, (check.name, check.detail)


def test_the_books_of_the_backtest_balance_to_the_cent(work: DeskContext) -> None:
    history = work.open_artifact(HISTORY).read_frame("history.parquet")
    assert history["trade_pnl"].notna().sum() > 20
    earned = history["trade_pnl"].sum()
    assert history["equity"].iloc[-1] == pytest.approx(50_000 + earned, abs=0.005)
    assert (history["side"].iloc[-1], history["profit"].iloc[0]) == (0, 0)


def test_decisions_go_into_the_dataset_with_their_brackets(work: DeskContext) -> None:
    dataset = read_dataset(work)
    filled = dataset[dataset["fill_price"].notna()]
    assert len(filled) > 20
    assert (filled["action"] != HOLD).all()
    long = filled["action"] == 1
    assert (filled["stop_loss"] < filled["fill_price"]).equals(long)
    assert (filled["take_profit"] > filled["fill_price"]).equals(long)
    assert np.isfinite(dataset[list(FUTURES_STATE.names)].to_numpy()).all()


def test_horizons_are_unknown_across_closed_sessions(work: DeskContext) -> None:
    dataset = read_dataset(work).set_index("timestamp")
    day = "2024-03-06 "  # Wednesday, winter time: the session ends at 22:00
    known = dataset["return_1h"].notna()
    assert known.loc[f"{day}20:59:00+00:00"]
    assert not known.loc[f"{day}21:00:00+00:00"]
    overnight = dataset["return_24h"].notna()
    assert overnight.loc[f"{day}21:59:00+00:00"]
    assert not overnight.loc["2024-03-08 15:00:00+00:00"]  # Friday


def test_the_teacher_enters_in_regular_hours_only_and_is_home_before_the_close(
    work: DeskContext,
) -> None:
    history = work.open_artifact(HISTORY).read_frame("history.parquet")
    entries = history[history["enters"] > 0]
    local = entries["timestamp"].dt.tz_convert("America/New_York")
    minute = local.dt.hour * 60 + local.dt.minute
    assert minute.between(9 * 60 + 30, 16 * 60).all()
    assert read_report(work).performance["teacher"].rule_violations["flat_by_close"] == 0


def test_the_curriculum_moves_with_the_training_and_evaluation_pays_in_full(
    work: DeskContext,
) -> None:
    stored = [each["curriculum"] for each in history_of(work)]
    commissions = [each["commission_usd"] for each in stored]  # type: ignore[index]
    # a warm-up, then six iterations: full at half of what is learned
    assert commissions == pytest.approx([1.0, 1.0, 1.6, 2.2, 2.5, 2.5, 2.5])
    bonuses = [each["exploration_bonus"] for each in stored]  # type: ignore[index]
    assert bonuses[0] == pytest.approx(0.2)
    assert bonuses[-1] == 0
    market = read_market(work)
    environment = work.kind.environment(market, CPU, torch.float64)
    assert environment.curriculum == {}
    paid = read_report(work).performance["teacher"]
    walk = work.kind.walk(market, 40, *two_trades(len(market.bars) - 40))
    assert walk.performance.round_trips == 2
    # 2.50 a trade, and a tick of 5 USD at each of the fills that is no target
    targets = int((walk.records["exit"] == TARGET).sum())
    assert np.nansum(walk.records["cost"]) == 2 * 2.50 + (4 - targets) * 5.0
    assert paid.costs_paid > 0


def two_trades(bars: int) -> tuple[np.ndarray, np.ndarray]:
    """Long, and out ten minutes later; short, likewise. An order of no contracts goes flat."""
    action, strength = np.zeros(bars, dtype=np.int8), np.ones(bars)
    action[[100, 110, 200, 210]] = [1, 2, 2, 1]
    strength[[110, 210]] = 0.0
    return action, strength


def test_each_term_of_the_reward_and_each_rule_is_told_by_name(work: DeskContext) -> None:
    for each in history_of(work):
        terms = each["reward_terms"]
        assert isinstance(terms, dict)
        assert set(terms) == {"profit", "target_bonus", "idle_penalty", "exploration_bonus"}
        assert sum(terms.values()) == pytest.approx(each["reward_mean"], abs=1e-5)
        assert terms["idle_penalty"] < 0
    summaries = work.open_artifact(PPO).read_json("metrics.json")
    trades = TradeSummary(**summaries[-1]["trades"])
    assert set(trades.violations_by_rule) == {
        "trailing_drawdown", "daily_loss", "contract_limit", "flat_by_close",
    }  # fmt: skip


def test_training_ends_with_a_verdict_per_criterion(work: DeskContext) -> None:
    verdict = {check.name: check for check in verdicts(work, PPO)}
    assert {"entropy_stayed_up", "mean_return_trends_up", "accounts_traded",
            "metrics_are_complete", "no_update_was_skipped"} <= set(verdict)  # fmt: skip
    assert verdict["entropy_stayed_up"].passed
    assert verdict["accounts_traded"].passed
    assert verdict["metrics_are_complete"].passed
    assert "slope" in verdict["mean_return_trends_up"].detail


def test_a_resumed_training_finds_its_accounts_and_its_commission_again(work: DeskContext) -> None:
    """Bit for bit, although episodes outlast rollouts."""
    build(work, PPO, OPTIONS)
    whole, figures = weights(work), history_of(work)
    interrupt(work, iteration=3)
    with heard() as said:
        build(work, PPO, replace(OPTIONS, resume=True))
    assert any("resuming" in line for line in said)
    assert same(whole, weights(work))
    assert history_of(work) == figures
    (fourth,) = [line for line in said if "iteration 4/6" in line]
    assert "commission_usd 2.5" in fourth
    assert not any("iteration 3/6" in line for line in said)


def test_a_data_filter_narrows_where_accounts_start(work: DeskContext) -> None:
    from rl_core.steps.ppo_policy.rows import kept_bars

    dataset = read_dataset(work, REGIMES)
    thresholds = read_thresholds(work.open_artifact(REGIMES))
    everything = kept_bars(work.desk, dataset, thresholds)
    trends = dict(zip(dataset["bar"], dataset["adx"] >= 0.25, strict=True))
    for mode, is_trending in (("trending", True), ("ranging", False)):
        filtered = kept_bars(changed(work, ppo__data_filter=mode).desk, dataset, thresholds)
        assert 0 < len(filtered) < len(everything)
        assert {trends[bar] for bar in filtered.tolist()} == {is_trending}


def test_a_prediction_has_contracts_and_a_bracket_and_says_that_it_is_simulated(
    work: DeskContext,
) -> None:
    answer = predict_latest(work, {}, None)
    assert answer["symbol"] == "SIM-NQ"
    assert answer["is_simulated"] is True
    held = {"contracts": 1, "entry_price": 17000, "stop_price": 16980, "target_price": 17030}
    other = predict_latest(work, held, None)
    assert other["probabilities"] != answer["probabilities"]
    assert {"order", "contracts", "stop_loss", "take_profit"} <= set(answer)
    for account, message in (
        ({"contracts": 1.0}, "a position must have contracts, entry_price.* with no price"),
        ({"entry_price": 17000.0}, "was 0 contracts with entry_price"),
        ({**held, "contracts": -1.0}, "a long position must have its stop below its target"),
        ({**held, "contracts": 9.0}, "at most rules.contract_limit, 5, was 9"),
        ({**held, "contracts": 0.5}, "contracts: Input should be a valid integer"),
        ({"drawdown_usd": float("inf")}, "drawdown_usd: Input should be a finite number"),
    ):
        with pytest.raises(TollgateError, match=message):
            predict_latest(work, account, None)
    with pytest.raises(TollgateError, match="position: must be a known setting"):
        predict_latest(work, {"position": 0.5}, None)


def test_what_an_order_would_do_is_what_the_backtest_would_do(work: DeskContext) -> None:
    thresholds = read_thresholds(work.open_artifact(REGIMES))
    bars = read_bars(work.open_artifact(BARS))[:-10]
    market = work.kind.prepare(bars, None, thresholds)
    close, atr = float(bars["close"].iloc[-1]), float(market.atr_points[-1])
    distance = round(2 * atr / 0.25) * 0.25
    buys = work.kind.decision_details(market, {}, "BUY", 0.9)
    assert (buys["order"], buys["contracts"]) == ("enter", 1.0)
    assert buys["stop_loss"] == close + 0.25 - distance
    held: dict[str, float] = {
        "contracts": 1, "entry_price": 17000, "stop_price": 16980, "target_price": 17030,
    }  # fmt: skip
    assert work.kind.decision_details(market, held, "SELL", 0.9)["order"] == "leave"
    again = work.kind.decision_details(market, held, "BUY", 0.9)
    assert (again["contracts"], again["stop_loss"], again["take_profit"]) == (1, 16980, 17030)
    assert again["order"] == "none"
    for account, action, strength, reason in (
        (held, "BUY", 0.9, "a position in that direction is held already"),
        ({"is_barred": 1.0}, "BUY", 0.9, "a broken rule bars the account"),
        ({}, "SELL", 0.2, "less than half a contract"),
        ({}, "HOLD", 0.9, "HOLD is no order"),
    ):
        said = work.kind.decision_details(market, account, action, strength)
        assert (said["order"], said["order_reason"]) == ("none", reason)
    whole = read_market(work)  # its last bar is its session's last
    over = work.kind.decision_details(whole, {}, "BUY", 0.9)
    assert (over["order"], over["contracts"]) == ("none", 0.0)
    assert str(over["order_reason"]).startswith("the session has ended")


def test_turnover_counts_every_contract(work: DeskContext) -> None:
    market = read_market(work)
    orders = two_trades(len(market.bars) - 40)
    turnover: list[float] = []
    for most in (1, 3):
        desk = changed(work, account__max_contracts=most)
        turnover.append(desk.kind.walk(market, 40, *orders).performance.annual_turnover)
    assert turnover[1] == pytest.approx(3 * turnover[0], rel=0.01)


def test_books_that_were_cooked_are_found(work: DeskContext) -> None:
    history = work.open_artifact(HISTORY).read_frame("history.parquet")
    assert work.kind.book_errors(history).max() < 1e-9
    for column in ("profit", "exit_price", "equity", "fill_price"):
        cooked = history.copy()
        row = int(np.flatnonzero(cooked["exit"] > 0)[3])
        if column == "fill_price":
            row = int(np.flatnonzero((cooked["enters"] > 0) & (cooked["exit"] > 0))[0])
        cooked[column] += np.arange(len(cooked)) == row
        assert work.kind.book_errors(cooked).max() > 1e-6, column


def test_simulated_data_is_named_so_wherever_it_shows(work: DeskContext) -> None:
    assert work.open_artifact(BARS).facts.is_simulated is True
    report = work.open_artifact(GATE).read("report.md").decode()
    card = (work.models.served("shadow").directory / "model_card.md").read_text()
    for text in (report, card, read_report(work).data):
        assert "SIMULATED" in text


def real_file(folder: Path, **changes: object) -> FuturesDesk:
    bars = simulate_future(FuturesSimulation(sessions=6, start=date(2024, 3, 5)), SessionConfig())
    path = folder / "future.csv"
    for rows, columns in changes.items():
        first, last = (int(n) for n in rows.removeprefix("rows_").split("_"))
        for column, value in columns.items():  # type: ignore[attr-defined]
            old = bars.loc[first:last, column]
            bars.loc[first:last, column] = old / 100 if value == "/100" else value
    bars.to_csv(path, index=False)
    settings = {"path": str(path), "symbol": "NQ", "interval": "1min", "sessions": {}}
    return future_desk(bars=settings)


def failed_checks(desk: FuturesDesk, folder: Path) -> dict[str, str]:
    work = DeskContext.open(desk, folder / "data")
    build(work, BARS)
    return {check.name: check.detail for check in verdicts(work, BARS) if not check.passed}


def test_a_sound_file_has_no_complaints(tmp_path: Path) -> None:
    assert set(failed_checks(real_file(tmp_path), tmp_path)) == {"bars_are_current"}


def test_prices_in_another_unit_are_found_with_their_lines(tmp_path: Path) -> None:
    desk = real_file(tmp_path, rows_300_319=dict.fromkeys(PRICES, "/100"))
    found = failed_checks(desk, tmp_path)["prices_have_one_unit"]
    said = "20 bars with prices off by a power of ten: rows 302, 303, 304, 305, 306 and 15 more"
    assert found == f"{said}; quality.repair: [prices_have_one_unit] leaves them out"


def test_a_dead_feed_is_found_with_its_lines(tmp_path: Path) -> None:
    desk = real_file(tmp_path, rows_500_529={**dict.fromkeys(PRICES, 17000.0), "volume": 0.0})
    found = failed_checks(desk, tmp_path)["the_feed_never_died"]
    assert found.startswith("30 bars in stretches without volume or change: rows 502, 503")


def test_a_bad_roll_is_found_with_its_line(tmp_path: Path) -> None:
    desk = real_file(tmp_path, rows_100_199={"contract": "2024M"})
    found = failed_checks(desk, tmp_path)["rolls_are_plausible"]
    assert "rows 102, 202" in found


def test_nothing_is_built_on_what_a_check_stops(work: DeskContext, tmp_path: Path) -> None:
    require_checks_passed(work, GATE.ancestors)
    desk = real_file(tmp_path, rows_100_199={"contract": "2024M"})
    refused = DeskContext.open(desk, tmp_path / "data")
    build(refused, BARS)
    with pytest.raises(TollgateError, match="bars of desk future must pass rolls_are_plausible"):
        build(refused, HISTORY)


def test_a_contract_column_that_is_named_must_be_there(tmp_path: Path) -> None:
    desk = real_file(tmp_path).with_settings({"bars.columns": {"contract": "expiry"}})
    with pytest.raises(TollgateError, match="was without expiry"):
        build(DeskContext.open(desk, tmp_path / "data"), BARS)


def test_bars_outside_the_sessions_are_refused_or_left_out(tmp_path: Path) -> None:
    desk = real_file(tmp_path)
    path = desk.bars.path
    assert path is not None
    bars = pd.read_csv(path)
    late = bars.iloc[1379:1380].assign(timestamp="2024-03-05 22:10:00+00:00")
    pd.concat([bars[:1380], late, bars[1380:]]).to_csv(path, index=False)
    with pytest.raises(TollgateError, match=r"inside the sessions of CMES, was 2024-03-05 22:10"):
        build(DeskContext.open(desk, tmp_path / "data"), BARS)
    lenient = desk.with_settings({"bars.sessions.drop_outside": True})
    work = DeskContext.open(lenient, tmp_path / "data")
    sealed = build(work, BARS)
    assert len(read_bars(sealed)) == len(bars)
    report = sealed.read_json("quality.json")
    assert report["outside_session_rows"] == [1382]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "options"}, "kind: must be one of spot, futures, portfolio, was 'options'"),
        ({"kind": "spot"}, "costs.commission_usd: must be a known setting"),
        ({"rules": {"daily_loss_usd": 9000}}, "daily_loss_usd must be at most trailing_drawdown"),
        ({"bars": {"path": "a.csv", "symbol": "NQ"}}, "futures desk must have bars.sessions"),
        ({"environment": {"max_drawdown": 0.5}}, "environment.max_drawdown: must be a known"),
        ({"brackets": {"unit": "percent"}}, "brackets.unit"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(settings: dict[str, object], message: str) -> None:
    base = future_desk().resolved()
    with pytest.raises(TollgateError, match=message):
        parse_desk({**base, **settings}, "future.yaml")
