"""What the trainer asks of an environment; windows, the curriculum, Gymnasium."""
