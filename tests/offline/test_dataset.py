"""The dataset: what is in it, that it exports, and that its checks find what is wrong with it."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rl_core.base.checks import Check
from rl_core.base.errors import TollgateError
from rl_core.features.regimes import RegimeThresholds
from rl_core.kinds.spot.state import SPOT_STATE
from rl_core.lab.markets.spot import simulate_bars
from rl_core.market.bars import nanoseconds
from rl_core.market.splits import split_bars
from rl_core.offline.dataset import build_dataset, regime_to_come
from rl_core.offline.regime_filter import filter_training_rows, rows_per_mode
from rl_core.offline.settings import RegimeFilterConfig
from rl_core.offline.validation import DATASET_CHECKS
from rl_core.steps.backtest_history import HISTORY, run_backtest
from rl_core.steps.context import DeskContext
from rl_core.steps.offline_dataset import OFFLINE_DATASET
from rl_core.steps.reading import read_thresholds
from rl_core.steps.runner import build, run_chain
from tests.chain import file_of, read_dataset
from tests.conftest import small_desk


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> DeskContext:
    folder = tmp_path_factory.mktemp("dataset")
    bars = simulate_bars(2000, seed=11)
    bars.drop(index=range(500, 520)).to_parquet(folder / "bars.parquet", index=False)  # an outage
    work = DeskContext.open(small_desk(folder / "bars.parquet"), folder)
    run_chain(work, OFFLINE_DATASET)
    return work


def test_rows_are_decisions_with_complete_states_and_unknown_targets_are_nan(
    work: DeskContext,
) -> None:
    dataset = read_dataset(work)
    assert len(dataset) == 1980 - 33
    assert np.isfinite(dataset[list(SPOT_STATE.names)].to_numpy()).all()
    # the bar before the outage has no bar an hour later, nor those up to a day before it, save
    # where the day reaches past it: 20 hours are missing
    assert dataset["return_1h"].isna().sum() == 1 + 1
    assert dataset["return_24h"].isna().sum() == 20 + 24
    assert set(dataset["split"]) == {"train", "validation", "test", "purged"}


def test_account_features_are_those_of_the_account_that_decided(work: DeskContext) -> None:
    dataset = read_dataset(work)
    history = work.open_artifact(HISTORY).read_frame("history.parquet")
    np.testing.assert_allclose(dataset["position"], history["position"].clip(-1, 1), atol=1e-6)
    np.testing.assert_allclose(dataset["cash_fraction"] + dataset["position"], 1.0, atol=1e-5)


def test_the_npz_loads_without_pickle_and_says_the_same(work: DeskContext) -> None:
    dataset = read_dataset(work)
    with np.load(file_of(work, OFFLINE_DATASET, "dataset.npz"), allow_pickle=False) as arrays:
        assert arrays["states"].dtype == np.float32
        assert arrays["states"].shape == (len(dataset), 34)
        assert arrays["actions"].dtype == np.int8
        np.testing.assert_array_equal(arrays["return_24h"], dataset["return_24h"])
        assert arrays["feature_names"].tolist() == list(SPOT_STATE.names)
        assert arrays["timestamps"][0] == dataset["timestamp"].iloc[0].tz_localize(None)


def test_building_twice_gives_the_same_content(work: DeskContext) -> None:
    first = work.open_artifact(OFFLINE_DATASET)
    assert build(work, OFFLINE_DATASET).identity == first.identity


def verdicts(work: DeskContext) -> dict[str, Check]:
    """Of the dataset as it lies on disk, whatever its seal says."""
    checks = OFFLINE_DATASET.judge(work, work.open_artifact(OFFLINE_DATASET))
    assert [check.name for check in checks] == [spec.name for spec in DATASET_CHECKS]
    return {check.name: check for check in checks}


def test_a_sound_dataset_passes_every_check(work: DeskContext) -> None:
    assert all(check.passed for check in verdicts(work).values())


CORRUPTIONS = {
    "targets_are_not_infinite": ("return_1h", 100, np.inf),
    "known_targets_are_within_100_percent": ("return_24h", 7, 1.5),
    "targets_agree_with_prices_in_sql": ("return_24h", 1200, 0.0123),
    "no_feature_sees_the_future": ("rsi", 1234, 0.999),
}


@pytest.mark.parametrize("name", CORRUPTIONS)
def test_each_check_finds_a_single_corrupted_value_and_its_row(
    work: DeskContext, name: str
) -> None:
    column, row, value = CORRUPTIONS[name]
    path = file_of(work, OFFLINE_DATASET, "dataset.parquet")
    intact = path.read_bytes()
    dataset = pd.read_parquet(path)
    dataset.loc[row, column] = np.float32(value)
    dataset.to_parquet(path, index=False)
    try:
        failed = verdicts(work)[name]
    finally:
        path.write_bytes(intact)
    assert not failed.passed
    assert f"row {row}" in failed.detail
    assert failed.is_blocking == next(s.blocks for s in DATASET_CHECKS if s.name == name)


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("unknown_targets_are_few", np.nan),
        ("targets_vary", 0.01),
        ("targets_agree_with_prices_in_sql", 0.0),  # unknown filled with 0, among others
        ("moments_match_the_bars", 0.5),
    ],
)
def test_a_column_that_was_overwritten_is_found(
    work: DeskContext, name: str, values: float
) -> None:
    path = file_of(work, OFFLINE_DATASET, "dataset.parquet")
    intact = path.read_bytes()
    dataset = pd.read_parquet(path)
    dataset["return_1h"] = np.float32(values)
    dataset.to_parquet(path, index=False)
    try:
        assert not verdicts(work)[name].passed
    finally:
        path.write_bytes(intact)


def test_a_changed_dataset_is_neither_read_nor_replaced(work: DeskContext) -> None:
    path = file_of(work, OFFLINE_DATASET, "dataset.parquet")
    intact = path.read_bytes()
    path.write_bytes(intact[:-1] + b"?")
    try:
        with pytest.raises(TollgateError, match="must be as it was sealed, was changed since"):
            read_dataset(work)
        with pytest.raises(TollgateError, match=r"delete .*offline_dataset.* and make it again"):
            build(work, OFFLINE_DATASET)
        assert path.read_bytes() != intact  # the evidence is still there
    finally:
        path.write_bytes(intact)


@pytest.mark.parametrize("mode", ["high_volatility", "trending", "ranging"])
def test_the_regime_filter_takes_training_rows_only(work: DeskContext, mode: str) -> None:
    dataset, thresholds = (
        read_dataset(work),
        read_thresholds(work.open_artifact(OFFLINE_DATASET)),
    )
    config = RegimeFilterConfig.model_validate({"mode": mode, "min_train_rows": 10})
    filtered = filter_training_rows(dataset, thresholds, config)
    kept = (filtered["split"] == "train").sum()
    assert 0 < kept < (dataset["split"] == "train").sum()
    assert kept == rows_per_mode(dataset, thresholds)[mode]
    for split in ("validation", "test", "purged"):
        assert (filtered["split"] == split).sum() == (dataset["split"] == split).sum()


def test_a_filter_that_leaves_too_little_is_an_error(work: DeskContext) -> None:
    never = RegimeThresholds(
        low_volatility=0, high_volatility=1, high_atr_fraction=99, trending_adx=0.2
    )
    with pytest.raises(TollgateError, match="must leave at least 500 training rows, was 0"):
        filter_training_rows(read_dataset(work), never, RegimeFilterConfig(mode="high_volatility"))


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1000), cut=st.integers(750, 990), factor=st.floats(0.3, 3.0))
def test_later_bars_change_neither_states_nor_decisions_nor_past_targets(
    seed: int, cut: int, factor: float
) -> None:
    """Thresholds are fitted on train, the first 700 bars; nothing before the cut may move."""
    bars = simulate_bars(1000, seed=seed)
    other = bars.copy()
    other.loc[cut + 1 :, ["open", "high", "low", "close"]] *= factor
    desk = small_desk(Path("unused"))
    split = split_bars(nanoseconds(bars["timestamp"]), desk.splits)
    datasets = []
    for each in (bars, other):
        backtest = run_backtest(desk, each, None)
        rows = build_dataset(backtest.market, split, backtest.records, SPOT_STATE, (), desk.dataset)
        datasets.append(rows[rows["bar"] <= cut])
    now, then = datasets
    known = [*SPOT_STATE.names, "action", "strength", "regime", "atr_fraction", "adx"]
    pd.testing.assert_frame_equal(now[known], then[known])
    for horizon, bars_ahead in (("1h", 1), ("24h", 24)):
        past = now["bar"] <= cut - bars_ahead
        pd.testing.assert_series_equal(
            now.loc[past, f"return_{horizon}"], then.loc[past, f"return_{horizon}"]
        )


def test_a_row_that_was_left_out_or_stands_twice_is_found(work: DeskContext) -> None:
    path = file_of(work, OFFLINE_DATASET, "dataset.parquet")
    intact = path.read_bytes()
    dataset = pd.read_parquet(path)
    changes = {
        "left out": dataset.drop(index=900),
        "twice": pd.concat([dataset[:901], dataset[900:]]),
    }
    try:
        for changed in changes.values():
            changed.to_parquet(path, index=False)
            failed = verdicts(work)["targets_agree_with_prices_in_sql"]
            assert not failed.passed
            assert "90" in failed.detail
    finally:
        path.write_bytes(intact)


def test_the_regime_to_come_is_looked_up_by_time_among_the_given_rows() -> None:
    times = pd.to_datetime(["2020-01-01 00:00", "2020-01-01 01:00", "2020-01-01 03:00"], utc=True)
    clock = nanoseconds(pd.Series(times))
    rows = pd.DataFrame({"clock": clock, "regime": np.array([0, 2, 1], dtype=np.int8)})
    assert regime_to_come(rows, "1h").tolist() == [2, -1, -1]  # two o'clock is missing
    assert regime_to_come(rows, "3h").tolist() == [1, -1, -1]
