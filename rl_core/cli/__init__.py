"""`tollgate`: the command line. Thin: it parses, calls the steps, and prints.

Nothing is imported here, so that a child process ends with its parent from its first line on.
"""


def main() -> None:
    """Entry point of `tollgate` and of `python -m rl_core.cli`."""
    from rl_core.base.processes import die_with_named_parent

    die_with_named_parent()
    from rl_core.cli.app import run

    run()
