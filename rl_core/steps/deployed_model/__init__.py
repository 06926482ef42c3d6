"""deployed_model: a version in the model store, and the pointers that serve it."""
