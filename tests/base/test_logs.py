"""One handler: plain lines for people, JSON lines for machines."""

import json
import logging
import subprocess
import sys

import pytest

from rl_core.base.logs import JsonFormatter, PeopleFormatter, warnings_only


def record(level: int, message: str) -> logging.LogRecord:
    return logging.LogRecord("rl_core.x", level, "f", 1, message, None, None)


def test_people_read_the_message_alone_and_see_what_is_a_warning() -> None:
    text = PeopleFormatter()
    assert text.format(record(logging.INFO, "ppo: iteration 1")) == "ppo: iteration 1"
    assert text.format(record(logging.WARNING, "ppo: it hardly explores")) == (
        "ppo: warning: it hardly explores"
    )
    assert text.format(record(logging.ERROR, "nothing left")) == "error: nothing left"


def test_machines_read_one_object_a_line() -> None:
    line = JsonFormatter().format(record(logging.WARNING, 'with "quotes"\nand a break'))
    assert "\n" not in line
    found = json.loads(line)
    assert (found["level"], found["logger"]) == ("warning", "rl_core.x")
    assert found["message"] == 'with "quotes"\nand a break'
    assert found["time"].endswith("+00:00")


def test_the_library_says_nothing_until_somebody_listens() -> None:
    script = "import logging, rl_core; logging.getLogger('rl_core.x').warning('psst')"
    quiet = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert quiet.stderr == b""
    loud = subprocess.run(
        [sys.executable, "-c", f"from rl_core.base import logs; logs.configure(); {script}"],
        capture_output=True, check=True, env={"TOLLGATE_LOG": "json", "PATH": ""},
    )  # fmt: skip
    assert json.loads(loud.stderr)["message"] == "psst"


def test_work_that_is_part_of_something_larger_is_heard_by_its_warnings_alone(
    caplog: pytest.LogCaptureFixture,
) -> None:
    logger = logging.getLogger("rl_core.part")
    logging.getLogger("rl_core").setLevel(logging.INFO)
    with warnings_only():
        logger.info("progress")
        logger.warning("careful")
    logger.info("after")
    assert [each.message for each in caplog.records] == ["careful", "after"]
