"""`python -m rl_core.cli`."""

from rl_core.cli.app import main

main()
