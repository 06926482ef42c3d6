"""Evaluation: policies walked through a span, prediction metrics, the gate and its report."""
