"""Errors that know the setting which would mend them."""

from rl_core.base.errors import TollgateError


class AdvisedError(TollgateError):
    """A source cannot be read as it is set, and could with another setting of `bars`."""

    def __init__(self, message: str, **settings: object) -> None:
        super().__init__(message)
        self.settings = settings
