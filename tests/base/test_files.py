"""Files are whole or not there, whatever happens in between."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rl_core.base.errors import TollgateError
from rl_core.base.files import (
    exclusive_lock,
    read_json,
    sha256_file,
    write_json_atomically,
)


def test_sha256_of_a_file_is_the_published_one(tmp_path: Path) -> None:
    (tmp_path / "abc").write_text("abc")  # FIPS 180-2, appendix B.1
    assert sha256_file(tmp_path / "abc") == (
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )


def test_json_refuses_what_json_cannot_say(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_atomically(tmp_path / "x.json", {"value": float("nan")})
    (tmp_path / "half.json").write_text('{"version": "2')
    with pytest.raises(TollgateError, match=r"half\.json must be whole JSON"):
        read_json(tmp_path / "half.json")
    with pytest.raises(TollgateError, match=r"none\.json must exist, was missing"):
        read_json(tmp_path / "none.json")


def test_a_reader_never_sees_half_a_pointer_when_the_writer_is_killed(tmp_path: Path) -> None:
    path = tmp_path / "pointer.json"
    write_json_atomically(path, {"version": "0" * 4000})
    script = (
        "import sys, pathlib; from rl_core.base.files import write_json_atomically\n"
        "n = 0\nwhile True:\n    n += 1\n"
        "    write_json_atomically(pathlib.Path(sys.argv[1]), {'version': str(n % 10) * 4000})\n"
    )
    for delay in (0.4, 0.5, 0.6):
        writer = subprocess.Popen([sys.executable, "-c", script, str(path)])
        time.sleep(delay)
        os.kill(writer.pid, signal.SIGKILL)
        writer.wait()
        assert len(set(read_json(path)["version"])) == 1


def test_a_lock_is_held_once_and_freed_when_its_process_dies(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    with exclusive_lock(lock, "building bars"):
        script = (
            "import sys, pathlib; from rl_core.base.files import exclusive_lock\n"
            "with exclusive_lock(pathlib.Path(sys.argv[1]), 'building bars'): pass\n"
        )
        second = subprocess.run(
            [sys.executable, "-c", script, str(lock)], capture_output=True, text=True, check=False
        )
    assert "building bars must run once at a time, was already running" in second.stderr
    with exclusive_lock(lock, "building bars"):
        pass


def test_a_lock_harms_nothing_that_lies_in_its_place(tmp_path: Path) -> None:
    victim, link = tmp_path / "victim", tmp_path / "link.lock"
    victim.write_text("precious")
    link.symlink_to(victim)
    (tmp_path / "folder.lock").mkdir()
    os.mkfifo(tmp_path / "pipe.lock")
    for path in (link, tmp_path / "folder.lock", tmp_path / "pipe.lock"):
        with pytest.raises(TollgateError, match="must be a lock file"), exclusive_lock(path, "x"):
            pass
    assert victim.read_text() == "precious"


def test_what_is_no_plain_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", tmp_path):
        with pytest.raises(TollgateError, match="must be a file, was a folder, a pipe or a device"):
            read_json(path)


def test_json_that_is_nested_too_deep_is_one_error(tmp_path: Path) -> None:
    (tmp_path / "deep.json").write_text("[" * 100_000)
    with pytest.raises(TollgateError, match="must be whole JSON, was not: nested too deep"):
        read_json(tmp_path / "deep.json")
