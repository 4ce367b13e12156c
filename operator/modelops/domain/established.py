"""Values that an earlier step of a decision has established and that a later step needs."""

from __future__ import annotations

from typing import TypeVar

T = TypeVar("T")


class NotEstablishedError(RuntimeError):
    """A step of a decision ran before the step that establishes what it needs: the order of the steps is wrong."""


def require_established(value: T | None, what: str) -> T:
    """The value, which an earlier step has established; `what` names it for the error.

    Raises:
        NotEstablishedError: it is not there.
    """
    if value is None:
        raise NotEstablishedError(f"{what} is not established: a step of the decision ran too early")
    return value
