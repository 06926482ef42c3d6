"""The one error a user can cause: wrong input, wrong configuration, a broken file."""


class TollgateError(ValueError):
    """States what must hold, what was, and where; a command prints it as one line and exits 2."""
