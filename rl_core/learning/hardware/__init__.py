"""Processes, precision, memory and compilation: never in the mathematics."""
