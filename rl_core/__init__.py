"""The library behind Tollgate: from bars to a gated, deployed policy, without Dagster."""
