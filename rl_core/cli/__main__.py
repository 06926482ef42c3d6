"""`python -m rl_core.cli`."""

from rl_core.cli import main

main()
