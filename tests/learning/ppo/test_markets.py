"""What the whole training makes of markets whose truth is known. Slow: several seeds of each.

The planted signal is a reversal, on which the trend-following teacher, and with it the clone,
loses: whoever is ahead learned it by trading. 1,500 hourly test bars give an annual Sharpe ratio a
standard error of 2.4.
"""

from pathlib import Path

import numpy as np
import pytest

from rl_core.desk import FuturesDesk, SpotDesk
from rl_core.lab.markets.spot import simulate_bars
from rl_core.steps.ppo_policy.step import PPO
from rl_core.steps.runner import verdicts
from tests.chain import read_report, run_chain

STANDARD_ERROR = 2.4


def train_and_judge(folder: Path, seed: int, signal_r2: float) -> dict[str, float]:
    """Sharpe ratio on the test span, all costs paid: policy, teacher and buy_and_hold."""
    path = folder / f"bars_{seed}.parquet"
    bars = simulate_bars(10_000, seed=seed, signal_r2=signal_r2, is_reverting=True)
    bars.to_parquet(path, index=False)
    desk = SpotDesk.model_validate(
        {
            "name": "known",
            "bars": {"path": str(path), "symbol": "SIM"},
            "costs": {"commission_rate": 0.0002, "slippage_rate": 0.0001},
            "bc": {"epochs": 6},
            "ppo": {
                "num_envs": 512,
                "rollout_steps": 64,
                "iterations": 20,
                "evaluate_every": 5,
                "actor_learning_rate": 1e-3,
                "entropy_coefficient": 0.05,
            },
        }
    )
    report = read_report(run_chain(desk, folder / str(seed)))
    return {name: account.sharpe or 0.0 for name, account in report.performance.items()}


SEEDS = (1, 2, 3)
ERROR_OF_MEAN = STANDARD_ERROR / np.sqrt(len(SEEDS))
ERROR_OF_MEAN_DIFFERENCE = np.sqrt(2) * ERROR_OF_MEAN


@pytest.mark.slow
def test_ppo_learns_a_planted_signal_that_its_teacher_loses_on(tmp_path: Path) -> None:
    results = [train_and_judge(tmp_path, seed, signal_r2=0.10) for seed in SEEDS]
    ahead_of_market = [sharpe["policy"] - sharpe["buy_and_hold"] for sharpe in results]
    ahead_of_teacher = [sharpe["policy"] - sharpe["teacher"] for sharpe in results]
    assert max(sharpe["teacher"] for sharpe in results) < 0, results
    assert np.mean(ahead_of_market) > 2 * ERROR_OF_MEAN_DIFFERENCE, results
    assert min(ahead_of_market) > STANDARD_ERROR, results
    assert np.mean(ahead_of_teacher) > 3 * ERROR_OF_MEAN_DIFFERENCE, results


@pytest.mark.slow
def test_ppo_learns_a_planted_signal_on_the_futures_desk_too(tmp_path: Path) -> None:
    """A reversal of 5% of a minute's variance: a lot, so that one seed and a minute are enough."""
    desk = FuturesDesk.model_validate(
        {
            "name": "known",
            "bars": {
                "simulated": {"sessions": 40, "seed": 3, "signal_r2": 0.05, "is_reverting": True,
                              "signal_half_life_minutes": 10.0},
                "symbol": "SIM-PLANTED", "interval": "1min", "sessions": {},
            },
            "dataset": {"max_unknown_share": 0.4},
            "bc": {"epochs": 4, "batch_size": 2048, "label_smoothing": 0.05},
            "environment": {"reward": {"target_bonus": 0.0}},
            "ppo": {"num_envs": 1024, "rollout_steps": 32, "num_minibatches": 4,
                    "timesteps": 1_000_000, "actor_learning_rate": 1e-3, "evaluate_every": 10,
                    "critic_warmup_iterations": 1, "entropy_coefficient": 0.02},
        }
    )  # fmt: skip
    work = run_chain(desk, tmp_path)
    performance = read_report(work).performance
    policy, teacher = performance["policy"], performance["teacher"]
    assert policy.sharpe is not None
    assert policy.sharpe_standard_error is not None
    assert policy.sharpe > 3 * policy.sharpe_standard_error
    assert policy.total_return > 0.1
    assert teacher.total_return < 0
    verdict = {check.name: check.passed for check in verdicts(work, PPO)}
    assert verdict["mean_return_trends_up"]


@pytest.mark.slow
def test_on_a_random_walk_ppo_is_not_ahead_beyond_chance(tmp_path: Path) -> None:
    results = [train_and_judge(tmp_path, seed, signal_r2=0.0) for seed in SEEDS]
    assert np.mean([sharpe["policy"] for sharpe in results]) < 2 * ERROR_OF_MEAN, results
    ahead = np.mean([sharpe["policy"] - sharpe["buy_and_hold"] for sharpe in results])
    assert ahead < 2 * ERROR_OF_MEAN_DIFFERENCE, results
