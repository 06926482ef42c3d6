"""Simulated markets. They are named simulated wherever they show."""
