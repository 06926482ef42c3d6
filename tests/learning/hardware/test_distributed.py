"""Two gloo processes on CPU: the gradients of one process with the joined batch."""

import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import torch

from rl_core.kinds.spot.env import SpotState
from rl_core.learning.hardware.distributed import ONE_PROCESS, Processes, joined_processes
from rl_core.learning.ppo.figures import Batch, UpdateLog
from rl_core.learning.ppo.learner import new_learner
from rl_core.learning.ppo.rollout import Rollout
from rl_core.learning.ppo.setup import Training, TrainingProblem, prepare_training
from rl_core.learning.ppo.tracker import Tally
from rl_core.learning.ppo.train import prepare_batch, update_policy
from tests.learning.problems import CONFIG, Silent, new_model, one_rollout, problem, train

ONCE = CONFIG.model_copy(update={"epochs": 1, "num_minibatches": 1, "gradient_clip": 1e9,
                                 "auxiliary_gradient_clip": 1e9})  # fmt: skip
HALF = ONCE.model_copy(update={"num_envs": 16})


def accounts(rollout: Rollout, some: slice) -> Rollout:
    """The columns of some accounts."""
    columns = {
        name: column[:, some]
        for name, column in vars(rollout).items()
        if isinstance(column, torch.Tensor)
    }
    tally = Tally(**{name: sums[..., some] for name, sums in vars(rollout.tally).items()})
    return Rollout(**columns, tally=tally, memory=None)


def partly_known() -> TrainingProblem[SpotState]:
    """A third of the targets is unknown, unevenly between the halves."""
    of = problem()
    of.targets.values[::3] = torch.nan
    return of


def gradients(training: Training[SpotState], batch: Batch) -> dict[str, torch.Tensor]:
    update_policy(training, batch, 1, UpdateLog.empty())
    named = training.learner.model.named_parameters()
    return {name: p.grad.clone() for name, p in named if p.grad is not None}


def learn_half(folder: Path) -> None:
    """What each of the two processes does: half of the accounts of the joined rollout."""
    joined = torch.load(folder / "rollout.pt", weights_only=True)
    with joined_processes(torch.device("cpu")) as processes:
        half = slice(16 * processes.rank, 16 * (processes.rank + 1))
        learner = new_learner(new_model(), HALF, {"share": processes.any})
        training = prepare_training(learner, partly_known(), HALF, Silent(), processes)
        rollout = Rollout(**joined["columns"], tally=Tally(**joined["tally"]), memory=None)
        batch = prepare_batch(accounts(rollout, half), HALF, processes)
        found = gradients(training, batch)
        torch.save(found, folder / f"gradients_{processes.rank}.pt")


def launch(*arguments: str, processes: int = 2) -> None:
    """`torchrun` on one machine; the port is free, and the threads are few."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", str(processes),
        "--master-addr", "127.0.0.1", "--master-port", str(port), *arguments,
    ]  # fmt: skip
    root = Path(__file__).resolve().parents[3]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(root)}
    result = subprocess.run(
        command, capture_output=True, text=True, check=False, env=environment, cwd=root, timeout=300
    )
    assert result.returncode == 0, result.stderr[-3000:]


def test_two_processes_have_the_gradients_of_one_with_the_joined_batch(tmp_path: Path) -> None:
    training, batch = one_rollout(ONCE, None, partly_known())
    rollout = vars(batch.rollout)
    columns = {name: c for name, c in rollout.items() if isinstance(c, torch.Tensor)}
    joined = {"columns": columns, "tally": dict(vars(batch.rollout.tally))}
    torch.save(joined, tmp_path / "rollout.pt")
    launch("-m", "tests.learning.hardware.test_distributed", str(tmp_path))
    expected = gradients(training, batch)
    for rank in (0, 1):
        found = torch.load(tmp_path / f"gradients_{rank}.pt", weights_only=True)
        assert found.keys() == expected.keys()
        for name, gradient in expected.items():
            torch.testing.assert_close(found[name], gradient, rtol=1e-4, atol=1e-6)


def test_one_process_shares_nothing() -> None:
    flags, values = torch.tensor([True, False]), torch.tensor([1.0, 2.0])
    assert ONE_PROCESS.any(flags) is flags
    assert ONE_PROCESS.average(values) is values
    assert Processes(1, 2).is_first is False
    module = torch.nn.Linear(1, 1)
    assert ONE_PROCESS.share_gradients(module) is module


def test_accounts_of_a_half_are_half_of_the_accounts() -> None:
    _, batch = one_rollout(ONCE)
    half = accounts(batch.rollout, slice(0, 16))
    assert half.reward.shape == (16, 16)
    assert torch.equal(half.reward, batch.rollout.reward[:, :16])
    assert replace(batch, rollout=half).rollout.tally.drawdown.shape == (16,)
    assert train(ONCE)[0].env_steps == 3 * 32 * 16


if __name__ == "__main__":
    learn_half(Path(sys.argv[1]))
