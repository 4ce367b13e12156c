"""Errors that every port can raise."""

from __future__ import annotations


class Conflict(Exception):
    """The API server answered 409: nothing was written. The caller reads the object and decides again."""


class Missing(Exception):
    """The API server answered 404: the object to be written does not exist."""


class Uncertain(Exception):
    """The answer was lost: the request may or may not have been carried out."""


class Unavailable(Exception):
    """The service did not carry out the request, but may do so later.

    `retry_after` is in seconds, None where the service did not say it.
    """

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class Refused(Exception):
    """The service refused the request and would refuse it again. The message is the service's, without secrets."""


class TokenRefused(Refused):
    """The service refused the token: it is wrong, expired or revoked, or lacks a permission."""


class NotLeader(Exception):
    """This process does not hold the leader lease: it may not write."""
