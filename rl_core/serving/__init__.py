"""Serving: one decision from a deployed policy and the latest bars."""
