"""Tollgate's library: everything but Dagster."""

import logging
import os

logging.getLogger(__name__).addHandler(logging.NullHandler())

# OpenMP's threads wait for each other by spinning, and a busy process beside a training makes them
# wait long: spin a little, then sleep. Read when torch is loaded, so it is set before anything is.
os.environ.setdefault("GOMP_SPINCOUNT", "1000")
