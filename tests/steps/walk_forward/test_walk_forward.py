"""Folds trained anew: stitched, stable when bars are added, and free of what comes later."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from rl_core.base.errors import TollgateError
from rl_core.desk import FuturesDesk, SpotDesk
from rl_core.lab.markets.spot import simulate_bars
from rl_core.steps.bars import BARS as BARS_STEP
from rl_core.steps.context import DeskContext
from rl_core.steps.runner import build, verdicts
from rl_core.steps.walk_forward.figures import WalkForwardReport
from rl_core.steps.walk_forward.step import WALK_FORWARD
from rl_core.steps.walk_forward.step import read_report as report_of
from tests.chain import OPTIONS, heard
from tests.conftest import small_desk

SCHEME = {"train": "60d", "test": "15d", "seeds": [1, 2, 3], "embargo": "6h"}


def walked(folder: Path, bars: pd.DataFrame, **settings: object) -> tuple[DeskContext, list[str]]:
    """The desk after a walk, and what it said on the way."""
    path = folder / "bars.parquet"
    bars.to_parquet(path, index=False)
    desk = small_desk(path, walk_forward={**SCHEME, **settings}, bc={"epochs": 1}, ppo={
        "num_envs": 32, "rollout_steps": 16, "iterations": 1, "evaluate_every": 1,
        "critic_warmup_iterations": 1,
    })  # fmt: skip
    work = DeskContext.open(desk, folder)
    build(work, BARS_STEP)
    with heard() as said:
        build(work, WALK_FORWARD, OPTIONS)
    return work, said


def read_report(work: DeskContext) -> WalkForwardReport:
    return report_of(work.open_artifact(WALK_FORWARD))


BARS = simulate_bars(24 * 112, seed=3, signal_r2=0.05)  # 15% of them are the gate's


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> DeskContext:
    return walked(tmp_path_factory.mktemp("walk"), BARS)[0]


def test_the_test_spans_are_stitched_without_a_gap(work: DeskContext) -> None:
    report = read_report(work)
    assert [(f.fold, f.seed) for f in report.folds][:4] == [
        ("expanding_00", 1), ("expanding_00", 2), ("expanding_00", 3), ("expanding_01", 1),
    ]  # fmt: skip
    curve = work.open_artifact(WALK_FORWARD).read_frame("returns.parquet")
    assert list(curve.columns) == [
        "timestamp", "policy, seed 1", "teacher", "buy_and_hold", "ridge", "policy, seed 2",
        "policy, seed 3",
    ]  # fmt: skip
    assert curve["timestamp"].is_monotonic_increasing
    assert len(curve) == 2 * (15 * 24 - 1)  # an account earns nothing by its first close
    grown = float(np.prod(1 + curve["policy, seed 1"]) - 1)
    assert report.stitched["policy, seed 1"].total_return == pytest.approx(grown)


def test_the_benchmark_of_a_fold_is_what_the_bars_did(work: DeskContext) -> None:
    """Buying once costs 0.16% and impact; the rest is the closes."""
    curve = work.open_artifact(WALK_FORWARD).read_frame("returns.parquet").iloc[: 15 * 24 - 1]
    close = BARS.set_index("timestamp")["close"]
    held = close[curve["timestamp"].iloc[-1]] / close[curve["timestamp"].iloc[0]] - 1
    earned = np.prod(1 + curve["buy_and_hold"].to_numpy()[1:]) - 1
    assert earned == pytest.approx(held, abs=1e-6)


def test_seeds_are_summarised_by_their_middle_half(work: DeskContext) -> None:
    report = read_report(work)
    assert report.policy_sharpe is not None
    sharpes = [report.stitched[f"policy, seed {seed}"].sharpe for seed in (1, 2, 3)]
    assert report.policy_sharpe.iqm == pytest.approx(np.mean(sharpes))  # of three none is cut off
    assert report.policy_sharpe.low <= report.policy_sharpe.iqm <= report.policy_sharpe.high


def test_no_label_crosses_a_border_and_the_checks_say_so(work: DeskContext) -> None:
    checks = {check.name: check for check in verdicts(work, WALK_FORWARD)}
    assert checks["folds_do_not_overlap"].passed
    assert checks["folds_do_not_overlap"].figures["rows"] == 0
    assert set(read_report(work).coverage) == {"1h", "24h"}


def test_a_fold_that_is_added_changes_no_other_and_trains_only_itself(tmp_path: Path) -> None:
    before = read_report(walked(tmp_path, BARS[: 24 * 95], seeds=[1])[0])
    work, said = walked(tmp_path, BARS, seeds=[1])
    after = read_report(work)
    assert len(before.folds) == 1
    assert after.folds[:1] == before.folds
    trained = [line for line in said if "seed" in line]
    assert trained == ["walk_forward: expanding_01, seed 1"]


def test_a_result_that_was_edited_is_refused(tmp_path: Path) -> None:
    work, _ = walked(tmp_path, BARS[: 24 * 95], seeds=[1])
    account = next((tmp_path / "walk_forward").rglob("account.parquet"))
    returns = pd.read_parquet(account)
    returns["policy"] += 0.001
    returns.to_parquet(account)
    with pytest.raises(
        TollgateError, match=r"must be as it was sealed, was changed since .*: delete"
    ):
        build(work, WALK_FORWARD, OPTIONS)


def test_what_comes_later_changes_no_fold(tmp_path: Path) -> None:
    """Another future after the first fold's test span, and the fold is the same to the bit."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    other = BARS.copy()
    late = other.index >= 24 * 75
    other.loc[late, ["open", "high", "low", "close"]] *= 1.5
    first = read_report(walked(tmp_path / "a", BARS, seeds=[1])[0])
    second = read_report(walked(tmp_path / "b", other, seeds=[1])[0])
    assert first.folds[0] == second.folds[0]
    assert first.folds[1] != second.folds[1]


def test_combinatorial_folds_make_several_paths(tmp_path: Path) -> None:
    work, _ = walked(tmp_path, BARS, scheme="combinatorial", groups=3, test_groups=2, seeds=[1])
    report = read_report(work)
    assert report.paths == 2
    assert len(report.folds) == 3
    assert report.overlapping_labels == 0
    curve = work.open_artifact(WALK_FORWARD).read_frame("returns.parquet")
    assert {"policy, seed 1, path 1", "policy, seed 1, path 2"} <= set(curve.columns)
    assert curve["timestamp"].is_unique


def test_bars_that_hold_no_fold_are_refused_and_nothing_is_sealed(tmp_path: Path) -> None:
    with pytest.raises(TollgateError, match="bars must hold 60d to train on and 15d to test on"):
        walked(tmp_path, BARS[: 24 * 70])
    assert not (tmp_path / "lake" / "small" / "walk_forward" / "current.json").exists()


def test_no_rollout_runs_into_a_span_that_is_left_out() -> None:
    from rl_core.steps.ppo_policy.rows import outside_gaps

    dataset = pd.DataFrame(
        {"bar": range(20), "split": ["train"] * 8 + ["test"] * 4 + ["train"] * 8}
    )
    kept = dataset.loc[dataset["split"] == "train", "bar"].to_numpy(np.int64)
    # windows of three bars: from bar 5 on they would reach bar 8
    assert outside_gaps(kept, dataset, 3).tolist() == [0, 1, 2, 3, 4, *range(12, 20)]


def test_futures_leave_no_groups_out_since_their_episodes_would_run_into_them(
    tmp_path: Path,
) -> None:
    desk = FuturesDesk.model_validate(
        {"name": "minutes", "walk_forward": {"scheme": "combinatorial"},
         "bars": {"simulated": {"sessions": 12}, "symbol": "SIM-NQ", "interval": "1min",
                  "sessions": {}}, "dataset": {"max_unknown_share": 0.4}}
    )  # fmt: skip
    work = DeskContext.open(desk, tmp_path)
    build(work, BARS_STEP)
    with pytest.raises(TollgateError, match="must be expanding or rolling on this kind of desk"):
        build(work, WALK_FORWARD, OPTIONS)


def test_the_desk_says_which_scheme_cannot_be(tmp_path: Path) -> None:
    for wrong, message in (
        ({"scheme": "combinatorial", "test_groups": 6}, "must be fewer than groups, was 6 of 6"),
        ({"scheme": "combinatorial", "folds": 2}, "folds must be left out with combinatorial"),
        ({"embargo": "-48h"}, "embargo must not be negative, was -48h"),
        ({"seeds": [2**63]}, "seeds must be at most"),
        ({"seeds": [1, 1]}, "seeds must differ"),
    ):
        with pytest.raises(ValueError, match=message):
            SpotDesk.model_validate(
                {"name": "x", "bars": {"path": "x.csv", "symbol": "X"}, "walk_forward": wrong}
            )
