"""Serving: a deployed model that answers; light to import, since a service is started often."""
