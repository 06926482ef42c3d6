"""Dagster only: it wires the chain, it does not compute."""
