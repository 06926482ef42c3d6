"""What the whole training makes of markets whose truth is known. Slow: several seeds of each."""

from pathlib import Path

import numpy as np
import pytest
import torch

from rl_core.chain.prediction_validation import build_prediction_validation, read_report
from rl_core.chain.workplace import Workplace
from rl_core.desk import DeskConfig
from rl_core.market.simulated import simulate_bars
from tests.chain.test_chain import run_chain

CPU = torch.device("cpu")
SEEDS = (1, 2, 3, 4)


def excess_sharpe(folder: Path, seed: int, signal_r2: float) -> tuple[float, float]:
    """The policy's Sharpe ratio on the test span less that of buy and hold, and its own."""
    path = folder / f"bars_{seed}.parquet"
    simulate_bars(10_000, seed=seed, signal_r2=signal_r2).to_parquet(path, index=False)
    desk = DeskConfig.model_validate(
        {
            "name": "known",
            "bars": {"path": str(path), "symbol": "SIM"},
            "bc": {"epochs": 8},
            "ppo": {"num_envs": 512, "rollout_steps": 64, "iterations": 12},
        }
    )
    work: Workplace = run_chain(desk, folder / str(seed))
    build_prediction_validation(work)
    own, held = (
        read_report(work).performance[name].sharpe or 0.0 for name in ("policy", "buy_and_hold")
    )
    return own - held, own


@pytest.mark.slow
def test_a_planted_signal_puts_ppo_clearly_ahead_of_buy_and_hold_after_costs(
    tmp_path: Path,
) -> None:
    results = [excess_sharpe(tmp_path, seed, signal_r2=0.05) for seed in SEEDS]
    # 1,500 hourly bars: the standard error of an annual Sharpe ratio is 2.4
    assert min(excess for excess, _ in results) > 2.4, results
    assert np.mean([excess for excess, _ in results]) > 2 * 2.4, results


@pytest.mark.slow
def test_on_a_random_walk_ppo_is_not_ahead_beyond_chance(tmp_path: Path) -> None:
    results = [excess_sharpe(tmp_path, seed, signal_r2=0.0) for seed in SEEDS]
    # the mean of four differences has a standard error near 2.4 x sqrt(2 / 4), and trading costs
    assert np.mean([excess for excess, _ in results]) < 2 * 1.7, results
    assert np.mean([own for _, own in results]) < 2 * 1.2, results
