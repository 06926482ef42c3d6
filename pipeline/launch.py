"""Run a training command as a child process that reports through Dagster Pipes.

A crash or out-of-memory kills the child and not the run. The child asks the kernel to die with this
process; here it is made sure that it does not outlive an interrupted step.
"""

import os
import subprocess
import sys

import dagster as dg
from dagster import AssetExecutionContext, PipesTempFileContextInjector, PipesTempFileMessageReader

GRACE_SECONDS = 20.0


def run_training(context: AssetExecutionContext, command: str, desk: str) -> dg.MaterializeResult:
    """Run `tollgate <command> --desk <desk>` and return what it materialized.

    Raises:
        dg.Failure: it exited with another code than 0.
    """
    arguments = [sys.executable, "-m", "rl_core.cli", command, "--desk", desk]
    with dg.open_pipes_session(
        context=context,
        context_injector=PipesTempFileContextInjector(),
        message_reader=PipesTempFileMessageReader(),
    ) as session:
        environment = {**os.environ, **session.get_bootstrap_env_vars()}
        child = subprocess.Popen(arguments, env=environment, stdout=subprocess.DEVNULL)
        try:
            code = child.wait()
        except BaseException:  # the step was interrupted
            stop(child)
            raise
    if code != 0:
        raise dg.Failure(
            f"tollgate {command} --desk {desk} must exit with 0, was {code}: see its log above"
        )
    return dg.PipesClientCompletedInvocation(session).get_materialize_result()


def stop(child: subprocess.Popen[bytes]) -> None:
    """Ask, wait, then kill."""
    child.terminate()
    try:
        child.wait(GRACE_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()
