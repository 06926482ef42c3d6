"""A child process that ends with its parent, from its first line on."""

import ctypes
import os
import signal
import sys

PARENT = "TOLLGATE_PARENT_PID"  # set by whoever starts a child that must not outlive it
_PR_SET_PDEATHSIG = 1


def die_with_named_parent() -> None:
    """End this process when the parent that the environment names ends; without one, do nothing."""
    if parent := os.environ.pop(PARENT, None):  # it is meant for this process, not for its children
        die_with(int(parent))


def die_with(parent: int) -> None:
    """End this process when its parent ends.

    The kernel is asked first and the parent looked at afterwards, so that no moment is left in
    which the parent can die unnoticed. Without this a retry would train beside an orphan.

    Args:
        parent: process id of the parent, as the parent itself knows it.
    """
    if sys.platform != "linux":
        return
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(128 + signal.SIGKILL)
