"""Costs, fills, accounts and performance: the only source of money in the project."""
