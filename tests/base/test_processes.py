"""A child ends with its parent, whenever the parent dies."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux kernel")

# a parent that starts a long command as Dagster's run worker does, says its process, and waits
PARENT = """
import os, subprocess, sys, time
from rl_core.base.processes import PARENT
child = subprocess.Popen(
    [sys.executable, "-m", "rl_core.cli", "bars", "--desk", "index_futures"],
    env={**os.environ, PARENT: str(os.getpid())}, stdout=subprocess.DEVNULL,
    stderr=subprocess.DEVNULL, start_new_session=True,
)
print(child.pid, flush=True)
time.sleep(60)
"""


def is_running(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except OSError:
        return False
    return state != "Z"


@pytest.mark.parametrize("delay", [0.0, 0.01, 0.03, 0.1, 0.3, 0.8])
def test_a_child_whose_parent_is_killed_while_it_still_imports_does_not_live_on(
    delay: float,
) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        time.sleep(delay)
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 20
    while is_running(child) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not is_running(child)


def test_a_child_of_somebody_else_than_it_was_told_ends_at_once() -> None:
    script = "from rl_core.base.processes import die_with_named_parent as d; d(); print('alive')"
    for parent, code, said in (("1", 137, ""), (str(os.getpid()), 0, "alive\n")):
        result = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=False,
            env={**os.environ, "TOLLGATE_PARENT_PID": parent},
        )  # fmt: skip
        assert (result.returncode, result.stdout) == (code, said)


def test_the_name_of_the_parent_is_not_handed_on_to_grandchildren() -> None:
    script = (
        "import os; from rl_core.base.processes import die_with_named_parent as d; d();"
        "print('TOLLGATE_PARENT_PID' in os.environ)"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True,
        env={**os.environ, "TOLLGATE_PARENT_PID": str(os.getpid())},
    )  # fmt: skip
    assert result.stdout == "False\n"


@pytest.mark.parametrize("given", [None, "17"])
def test_openmp_waits_briefly_unless_the_user_says_otherwise(given: str | None) -> None:
    others = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    environ = others | ({} if given is None else {"GOMP_SPINCOUNT": given})
    said = "import rl_core.learning.ppo.train, os; print(os.environ['GOMP_SPINCOUNT'])"
    found = subprocess.run(
        [sys.executable, "-c", said], env=environ, capture_output=True, text=True, check=True
    )
    assert found.stdout.strip() == (given or "1000")
