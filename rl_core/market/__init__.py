"""Bars: their contract, the readers that bring them in, and the quality report."""
