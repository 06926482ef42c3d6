"""The network: encoder, actor-critic, hybrid action, vote of several, and its file."""
