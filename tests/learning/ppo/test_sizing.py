"""Settings that fit the memory, by a formula that is held to measured peaks."""

import ctypes
import json
import os
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from rl_core.kinds.portfolio.env import PortfolioMarket
from rl_core.kinds.portfolio.kind import PortfolioKind
from rl_core.learning.hardware.memory import memory_in_use, memory_limit
from rl_core.learning.models.actor_critic import ActorCritic
from rl_core.learning.ppo.learner import new_learner
from rl_core.learning.ppo.sizing import ProblemSize, fitted, memory_need, tiling_of
from rl_core.learning.ppo.train import train_ppo
from rl_core.learning.settings import PRESETS, ModelConfig, PPOConfig
from tests.learning.problems import Silent, environment, problem
from tests.panels import panel_of, portfolio_desk, prepared, random_closes

SIZE = ProblemSize(
    parameters=38_856, table_rows=400, observation_size=34, num_account_features=4, num_horizons=2
)
GB = 10**9


@pytest.mark.parametrize("preset", ["high", "low"])
@pytest.mark.parametrize("limit_gb", [1, 4, 45])
def test_fitted_settings_fit_and_each_change_is_said(preset: str, limit_gb: int) -> None:
    asked = PPOConfig(**PRESETS[preset])  # type: ignore[index, arg-type]
    got, warnings = fitted(asked, ModelConfig(), SIZE, limit_gb * GB)
    assert memory_need(got, ModelConfig(), SIZE).total <= limit_gb * GB
    changed = {n for n in PPOConfig.model_fields if getattr(asked, n) != getattr(got, n)}
    assert changed == {warning.split()[0] for warning in warnings}
    for warning in warnings:
        name = warning.split()[0]
        assert f"{name} is now {getattr(got, name):,}, was {getattr(asked, name):,}" in warning
        assert "GB would be needed and" in warning


def test_sizes_that_split_oddly_are_lowered_to_ones_that_split() -> None:
    odd = PPOConfig(num_envs=1000, rollout_steps=100, num_minibatches=8)
    got, _ = fitted(odd, ModelConfig(), SIZE, GB // 10)
    tiling_of(got, is_recurrent=False)  # raises if it does not
    recurrent = ModelConfig(gru_layers=1)
    chunked = PPOConfig(num_envs=512, rollout_steps=48)
    tiling_of(fitted(chunked, recurrent, SIZE, GB // 20)[0], is_recurrent=True)


def test_the_tables_of_a_universe_are_what_the_formula_says() -> None:
    kind = PortfolioKind(portfolio_desk(Path("none.parquet")))
    market = prepared(panel_of(random_closes(400, 40)))
    environment = kind.training_environment(market, np.arange(200, 399), 16, torch.device("cpu"))
    tables = [t for t in vars_of(environment.market) if t is not environment.features]
    alone = memory_need(PPOConfig(), ModelConfig(), SIZE)
    crowded = memory_need(
        PPOConfig(), ModelConfig(), SIZE.model_copy(update=kind.memory_dimensions(40))
    )
    assert crowded.market - alone.market == sum(table.nbytes for table in tables)
    assert crowded.accounts == 1024 * 40 * 4 * 24


def vars_of(market: PortfolioMarket) -> list[torch.Tensor]:
    return [getattr(market, field.name) for field in fields(market)]


def test_what_fits_is_left_alone() -> None:
    asked = PPOConfig()
    assert fitted(asked, ModelConfig(), SIZE, 45 * GB) == (asked, [])


def test_what_cannot_fit_at_all_is_said() -> None:
    _, warnings = fitted(PPOConfig(), ModelConfig(), SIZE, 1000)
    assert "even the smallest training may not fit" in warnings[-1]


def test_a_longer_rollout_needs_more_and_smaller_minibatches_less() -> None:
    def need(**changes: object) -> int:
        return memory_need(PPOConfig(**changes), ModelConfig(), SIZE).total  # type: ignore[arg-type]

    assert need(rollout_steps=256) > need() > need(num_minibatches=16)
    assert need(num_minibatches=128) > need(num_minibatches=128, critic_epochs=0)


def test_a_cpu_is_limited_by_its_free_memory_and_shows_what_the_process_holds() -> None:
    cpu = torch.device("cpu")
    assert 10**8 < memory_limit(cpu, (45, 20)) < 10**14
    assert memory_in_use(cpu) > 10**8


CASES: dict[str, tuple[dict[str, object], dict[str, object]]] = {
    "mlp": ({"num_envs": 4096, "num_minibatches": 8}, {}),
    "mlp_amp": ({"num_envs": 4096, "num_minibatches": 8, "amp": True}, {}),
    "gru": (
        {"num_envs": 512, "rollout_steps": 64, "num_minibatches": 2},
        {"hidden_dim": 256, "gru_layers": 2, "head_dim": 128},
    ),
    "attention": ({"num_envs": 1024, "num_minibatches": 16}, {"attention_dim": 16}),
    "many_small": ({"num_envs": 8192, "num_minibatches": 128, "critic_epochs": 0}, {}),
}
# every large block goes back to the kernel when it is freed: the peak is that of what is live
RETURN_MEMORY = {
    "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_ARENA_MAX": "1"
}  # fmt: skip
PR_SET_THP_DISABLE = 41  # huge pages would round every block up


def peak_growth(name: str) -> tuple[int, int]:
    """Bytes by which a training raised the peak of a process of its own, and the formula's."""
    root = str(Path(__file__).resolve().parents[3])
    result = subprocess.run(
        [sys.executable, "-m", "tests.learning.ppo.test_sizing", name],
        capture_output=True, text=True, check=True,
        env={**os.environ, **RETURN_MEMORY, "PYTHONPATH": root},
    )  # fmt: skip
    measured, formula = json.loads(result.stdout)
    return measured, formula


def peak_bytes() -> int:
    """The largest resident size of this process; its parent's would count in `ru_maxrss`."""
    status = Path("/proc/self/status").read_text()
    return 1024 * int(status.split("VmHWM:")[1].split()[0])


def measure(name: str) -> None:
    """What the process of its own does."""
    ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0)
    changes, shape = CASES[name]
    config = PPOConfig.model_validate(
        {"iterations": 1, "critic_warmup_iterations": 0, "epochs": 1, **changes}
    )
    model_config = ModelConfig.model_validate(shape)
    model = ActorCritic(34, 3, 2, model_config)
    of = problem()
    of = replace(of, environment=environment(window=config.rollout_steps))
    model(torch.zeros(64, 34)).value.sum().backward()  # libraries warm up
    before = peak_bytes()
    train_ppo(new_learner(model, config, {}), of, config, Silent())
    after = peak_bytes()
    size = SIZE.model_copy(update={"parameters": sum(p.numel() for p in model.parameters())})
    print(json.dumps([after - before, memory_need(config, model_config, size).total]))


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_formula_covers_the_measured_peak_and_not_much_more(name: str) -> None:
    measured, formula = peak_growth(name)
    assert measured <= formula <= 2 * measured, (measured / 1e6, formula / 1e6)


if __name__ == "__main__":
    measure(sys.argv[1])
