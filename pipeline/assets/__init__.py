"""The assets of a desk, built from its settings."""
