"""The first SIGINT or SIGTERM asks a training to end after its iteration; a second ends it now."""

import os
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopRequest:
    """Which signal has come, if any."""

    def __init__(self) -> None:
        self.signum: int | None = None

    def receive(self, signum: int, _frame: FrameType | None) -> None:
        """Remember the first signal; obey the second."""
        if self.signum is not None:
            os._exit(128 + signum)
        self.signum = signum
        print(
            f"tollgate: {signal.Signals(signum).name}: finishing this iteration, then saving; "
            "once more quits at once",
            file=sys.stderr,
            flush=True,
        )


@contextmanager
def stop_requests() -> Generator[StopRequest]:
    """Listen for SIGINT and SIGTERM while the block runs."""
    request = StopRequest()
    before = {signum: signal.signal(signum, request.receive) for signum in SIGNALS}
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)
