"""The eight assets of a desk, built from its settings."""
