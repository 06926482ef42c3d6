"""The portfolio desk through the whole chain, on universes of several sizes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from rl_core.base.errors import TollgateError
from rl_core.desk import load_desk
from rl_core.market.panel import Panel
from rl_core.steps.backtest_history import HISTORY
from rl_core.steps.bars import BARS
from rl_core.steps.context import DeskContext
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.prediction import predict_latest
from rl_core.steps.prediction_validation.step import GATE
from rl_core.steps.runner import build, verdicts
from rl_core.steps.runner import run_chain as run_chain_until
from rl_core.steps.source import read_source
from tests.chain import deploy, read_dataset, read_market, read_policy, read_report, run_chain
from tests.panels import panel_of, portfolio_desk, random_closes, with_comings_and_goings


def written(folder: Path, panel: Panel, *, is_wide: bool = True) -> Path:
    """A panel as a file."""
    path = folder / ("wide.parquet" if is_wide else "long.csv")
    if is_wide:
        frame = pd.DataFrame(panel.close, columns=list(panel.symbols))
        frame.insert(0, "timestamp", pd.to_datetime(panel.ns))
        frame.to_parquet(path, index=False)
    else:
        frame = panel.to_frame().drop(columns="session")
        frame["timestamp"] = frame["timestamp"].dt.strftime("%Y-%m-%d")
        frame.sample(frac=1, random_state=0).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> DeskContext:
    """Nine stocks that come and go, with volume, in a shuffled CSV."""
    folder = tmp_path_factory.mktemp("portfolio")
    close = with_comings_and_goings(random_closes(900, 9))
    panel = panel_of(close, traded_value=np.full(close.shape, 1e9))
    desk = portfolio_desk(
        written(folder, panel, is_wide=False),
        model={"hidden_dim": 16, "head_dim": 8, "gru_layers": 1, "risk_head": True},
        costs={"impact": "volume_sqrt"},
    )
    work = run_chain(desk, folder)
    deploy(work)
    return work


def test_every_result_stands_beside_the_universe_itself(work: DeskContext) -> None:
    report = read_report(work)
    assert list(report.performance) == [
        "policy", "teacher", "buy_and_hold", "equal_weight", "best_single_regime",
    ]  # fmt: skip
    assert report.performance["best_single_regime"].note.endswith("best Sharpe in hindsight")
    assert len(report.actions) == 12
    markdown = work.open_artifact(GATE).read("report.md").decode()
    assert "| best single regime (" in markdown


def test_the_policy_has_regimes_and_no_strength(work: DeskContext) -> None:
    policy = read_policy(work)
    assert policy.spec.actions[:3] == ("HOLD", "FULL_CASH", "DEFENSIVE")
    assert not policy.spec.has_strength
    assert not hasattr(policy.model, "strength_log_std")


def test_where_there_is_no_1h_horizon_the_answer_is_null_with_a_reason(work: DeskContext) -> None:
    answer = predict_latest(work, {"S000": 0.2, "sessions_since_order": 3.0}, None)
    assert answer["predicted_return_1h"] is None
    assert answer["reasons"]["predicted_return_1h"] == (
        "this desk has no 1h horizon: it predicts 24h, 5d"
    )
    assert isinstance(answer["predicted_return_24h"], float)
    assert isinstance(answer["predicted_return_5d"], float)
    assert sum(answer["weights"].values()) + answer["cash_weight"] == pytest.approx(1, abs=1e-5)
    assert answer["risk"].keys() == {"low", "normal", "high"}
    json.dumps(answer, allow_nan=False)


def test_horizons_count_sessions_and_find_the_next_one_over_a_weekend(work: DeskContext) -> None:
    dataset = read_dataset(work)
    close = read_market(work).bars["close"].to_numpy()
    friday = int(np.flatnonzero(dataset["timestamp"].dt.day_of_week == 4)[20])
    bar = int(dataset["bar"].iloc[friday])
    assert dataset["timestamp"].iloc[friday + 1].day_of_week == 0
    assert dataset["return_24h"].iloc[friday] == pytest.approx(
        close[bar + 1] / close[bar] - 1, abs=1e-7
    )
    assert dataset["return_5d"].iloc[friday] == pytest.approx(
        close[bar + 5] / close[bar] - 1, abs=1e-7
    )
    assert dataset["return_24h"].isna().sum() == 1
    assert dataset["return_5d"].isna().sum() == 5


def test_targets_over_a_missing_session_are_unknown(tmp_path: Path) -> None:
    panel = panel_of(random_closes(400, 4))
    kept = np.delete(np.arange(400), 300)
    holed = Panel(panel.ns[kept], panel.session[kept], panel.symbols, {"close": panel.close[kept]})
    work = DeskContext.open(portfolio_desk(written(tmp_path, holed)), tmp_path)
    run_chain_until(work, OFFLINE_DATASET)
    dataset = read_dataset(work).set_index("clock")
    days = dataset.index // (24 * 3600 * 10**9)
    assert set(days[dataset["return_24h"].isna()]) == {299, 399}
    assert set(days[dataset["return_5d"].isna()]) == {295, *range(395, 400)}
    assert all(check.passed for check in verdicts(work, OFFLINE_DATASET))


@pytest.mark.parametrize("stocks", [3, 20, 300])
def test_only_the_path_changes_from_universe_to_universe(tmp_path: Path, stocks: int) -> None:
    path = written(tmp_path, panel_of(random_closes(700, stocks)))
    work = run_chain(portfolio_desk(path), tmp_path)
    assert len(read_report(work).actions) == 12
    assert work.open_artifact(BARS).facts.stocks == stocks
    assert deploy(work).manifest.data.bars == 700
    assert len(read_policy(work).spec.features) == 64


def test_a_split_that_was_not_adjusted_for_stops_the_chain(tmp_path: Path) -> None:
    close = random_closes(400, 5)
    close[100:, 2] /= 3
    work = DeskContext.open(portfolio_desk(written(tmp_path, panel_of(close))), tmp_path)
    build(work, BARS)
    failed = {check.name: check.detail for check in verdicts(work, BARS) if not check.passed}
    assert set(failed) == {
        "prices_are_adjusted", "universe_is_not_of_survivors", "bars_are_current"
    }  # fmt: skip
    assert "row 100 (S002 2000-05-25 -6" in failed["prices_are_adjusted"]
    assert "in bars.known_moves" in failed["prices_are_adjusted"]
    with pytest.raises(TollgateError, match="must pass prices_are_adjusted, was refused"):
        build(work, HISTORY)


def test_survivors_are_named_as_such(work: DeskContext, tmp_path: Path) -> None:
    of_survivors = DeskContext.open(
        portfolio_desk(written(tmp_path, panel_of(random_closes(300, 4)))), tmp_path
    )
    build(of_survivors, BARS)
    caveat = next(
        c for c in verdicts(of_survivors, BARS) if c.name == "universe_is_not_of_survivors"
    )
    assert not caveat.passed
    assert not caveat.is_blocking
    assert "better than anybody could have had" in caveat.detail
    assert next(c for c in verdicts(work, BARS) if c.name == caveat.name).passed


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sentiment": {"path": "x.csv"}}, "no sentiment.path"),
        ({"quality": {"repair": ["prices_move"]}}, "no quality.repair"),
        ({"dataset": {"horizons": ["1h", "24h"]}}, "must be whole sessions"),
        ({"splits": {"purge": "24h"}}, "splits.purge must be at least the longest"),
        ({"bars": {"symbol": "TEST"}}, "must have one of path and url"),
        ({"ensemble": {"near": 0.2}}, "near must be below far"),
    ],
)
def test_a_wrong_setting_is_one_clear_error(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        portfolio_desk(Path("x.parquet"), **settings)


def test_a_desk_that_asks_for_what_the_panel_has_not_is_told(tmp_path: Path) -> None:
    path = written(tmp_path, panel_of(random_closes(300, 4)))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"costs": {"impact": "volume_sqrt"}}, "must be known from traded_value"),
        (
            {"allocations": {"size": "dollar_volume"}},
            "must find traded_value or volume and unadjusted_close",
        ),
        ({"allocations": {"regimes": "etf_16"}}, "was without IWM, QQQ, SPY"),
    ]
    for settings, message in cases:
        work = DeskContext.open(portfolio_desk(path, **settings), tmp_path)
        build(work, BARS)
        with pytest.raises(TollgateError, match=message):
            build(work, HISTORY)


def test_the_packaged_desk_reads_its_sample_without_a_complaint_but_survivorship() -> None:
    source = read_source(load_desk("us_portfolio"))
    assert (source.report.stocks, source.report.rows) == (20, 8313)
    assert (source.report.missing_bars, source.report.split_rows) == (0, [])
