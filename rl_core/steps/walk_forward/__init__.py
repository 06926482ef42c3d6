"""walk_forward: the whole procedure on one fold after the other."""
