"""The actor-critic: encoder, optional GRU, heads, and the file it is kept in."""
