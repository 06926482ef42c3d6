"""Learners: networks, environments as a trainer sees them, cloning, PPO."""
