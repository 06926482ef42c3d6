"""The kinds of desk, one folder each: what is traded, how it fills, what a policy sees and does."""
