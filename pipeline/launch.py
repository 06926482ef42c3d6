"""Run a training command as a child process that reports through Dagster Pipes.

A crash or out-of-memory kills the child and not the run. The child ends with this process whatever
happens to it (`rl_core/base/processes.py`); here it is made sure that it does not outlive an
interrupted step.
"""

import os
import subprocess
import sys
from typing import Any

import dagster as dg
from dagster import AssetExecutionContext, PipesTempFileContextInjector, PipesTempFileMessageReader

from rl_core.base.processes import PARENT
from rl_core.steps.step import Step

GRACE_SECONDS = 120.0  # to finish an iteration and save; a second interruption ends the wait


def run_training(
    context: AssetExecutionContext, step: Step[Any], desk: str
) -> dg.MaterializeResult[Any]:
    """Run a step's command with `--desk <desk>` and return what it materialized.

    Raises:
        dg.Failure: it exited with another code than 0.
    """
    arguments = [sys.executable, "-m", "rl_core.cli", str(step.command), "--desk", desk]
    with dg.open_pipes_session(
        context=context,
        context_injector=PipesTempFileContextInjector(),
        message_reader=PipesTempFileMessageReader(),
    ) as session:
        environment = {
            **os.environ,
            **session.get_bootstrap_env_vars(),
            PARENT: str(os.getpid()),
        }
        # in a session of its own: Ctrl-C in a terminal signals a whole process group, and the child
        # would take the stop that follows for a second one and quit without saving
        child = subprocess.Popen(
            arguments, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            code = child.wait()
        except BaseException:  # the step was interrupted
            stop(child)
            raise
    if code != 0:
        raise dg.Failure(
            f"{step.shell} --desk {desk} must exit with 0, was {code}: see its log above"
        )
    return dg.PipesClientCompletedInvocation(session).get_materialize_result()


def stop(child: subprocess.Popen[bytes]) -> None:
    """Ask the child to save and end; kill it when it takes too long, or when asked once more."""
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    finally:
        if child.poll() is None:
            child.kill()
            child.wait()
