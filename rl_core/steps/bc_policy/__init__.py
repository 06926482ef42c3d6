"""bc_policy: a network that decides as the teacher did."""
