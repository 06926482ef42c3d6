"""The gate: what a policy must show, as pure functions of arrays."""
