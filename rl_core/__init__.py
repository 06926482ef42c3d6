"""Tollgate's library: everything but Dagster."""

import logging

logging.getLogger(__name__).addHandler(logging.NullHandler())
