"""`tollgate`: the command line. Thin: it parses, calls the chain, and prints."""

from rl_core.cli.app import main

__all__ = ["main"]
