"""Batched trading environments: pure steps, and the vector environment around them."""
