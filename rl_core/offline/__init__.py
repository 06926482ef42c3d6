"""The offline dataset: targets, assembly, validation, regime filter."""
