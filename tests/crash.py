"""Stop a process at every write, as a kill or a full disk would: in a fork, at the k-th call."""

import errno
import os
import sys
import traceback
from collections.abc import Callable
from typing import Any

KILLED, FAILED = 9, 70
WRITES = ("replace", "rename", "fsync", "write", "link")


def run_stopped(act: Callable[[], object], at: int, *, is_full: bool = False) -> int:
    """Run in a fork that ends before its write number `at`; its exit code.

    Args:
        act: what is run.
        at: from 0.
        is_full: the disk is full from then on, instead of the process being killed.

    Returns:
        0 if it ended by itself, KILLED if it was stopped, FAILED if it failed otherwise.
    """
    child = os.fork()
    if child == 0:
        _be_stopped(act, at, is_full=is_full)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _be_stopped(act: Callable[[], object], at: int, *, is_full: bool) -> None:
    count = [0]

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            if count[0] >= at:
                if is_full:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os._exit(KILLED)
            count[0] += 1
            return real(*arguments, **options)

        return call

    for name in WRITES:
        setattr(os, name, counted(getattr(os, name)))
    try:
        act()
    except OSError as error:
        os._exit(KILLED if error.errno == errno.ENOSPC else FAILED)
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(FAILED)
    os._exit(0)
