"""The rule-based teacher: analysts and their weighted vote."""
