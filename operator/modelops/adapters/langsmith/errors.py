"""The errors of calls to LangSmith, with the reasons that a condition shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar


class LangSmithError(Exception):
    """A call to LangSmith failed.

    `reason` is the CamelCase reason of a condition. `transient` says whether the same call may succeed later.
    The message is for people: what failed, where, and the remedy. It never contains a key, and no text of the
    SDK's own errors, because those quote parts of the key.
    """

    reason: ClassVar[str] = "LangSmithError"
    transient: ClassVar[bool] = False


class DatasetNotFound(LangSmithError):
    """No dataset has that id or exactly that name."""

    reason: ClassVar[str] = "DatasetNotFound"


class DatasetVersionNotFound(LangSmithError):
    """The dataset has no version at or before that time, or none with that tag."""

    reason: ClassVar[str] = "DatasetVersionNotFound"


class LangSmithUnauthorized(LangSmithError):
    """The key is missing, wrong, or may not do this."""

    reason: ClassVar[str] = "LangSmithUnauthorized"


class LangSmithUnavailable(LangSmithError):
    """No answer in time, a rate limit or a server error. The same call may succeed later."""

    reason: ClassVar[str] = "LangSmithUnavailable"
    transient: ClassVar[bool] = True


class LangSmithRefused(LangSmithError):
    """LangSmith understood the request and refused it (HTTP 4xx); the same request will fail again."""

    reason: ClassVar[str] = "LangSmithRefused"


class NotFound(LangSmithRefused):
    """HTTP 404 for something other than a dataset."""


class Conflict(LangSmithRefused):
    """HTTP 409: the object exists already."""


@contextmanager
def translated_errors(*, doing: str, url: str) -> Iterator[None]:
    """Turns the errors that the SDK raises inside the block into the errors above.

    `doing` completes "LangSmith at <url> answered 500 while ...", for example "reading dataset 'docs'".
    The cause is removed, because the SDK's connection errors quote the first and last characters of the key.
    """
    import requests
    from langsmith.utils import LangSmithError as SdkError

    try:
        yield
    except (SdkError, requests.RequestException) as error:
        raise _error_of_status(_status_of(error), doing=doing, url=url) from None


def _status_of(error: BaseException) -> int | None:
    """The HTTP status behind an SDK error; the SDK keeps it only in the chain of causes."""
    current: BaseException | None = error
    while current is not None:
        status = getattr(getattr(current, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        current = current.__cause__ or current.__context__
    return None


def _error_of_status(status: int | None, *, doing: str, url: str) -> LangSmithError:
    if status is None:
        return LangSmithUnavailable(
            f"LangSmith at {url} did not answer while {doing}. The call is tried again; if this stays, check "
            "the endpoint and the network policy."
        )
    if status in {401, 403}:
        return LangSmithUnauthorized(
            f"LangSmith at {url} answered {status} while {doing}: the key is wrong or lacks a permission. Check "
            "the Secret that spec.secretRefs.langsmith names, and the workspace that the key belongs to."
        )
    if status == 404:
        return NotFound(
            f"LangSmith at {url} answered 404 while {doing}. Check the endpoint and the workspace."
        )
    if status == 409:
        return Conflict(
            f"LangSmith at {url} answered 409 while {doing}: an object of that name exists already."
        )
    if status in {408, 425, 429} or status >= 500:
        return LangSmithUnavailable(
            f"LangSmith at {url} answered {status} while {doing}. The call is tried again."
        )
    return LangSmithRefused(
        f"LangSmith at {url} answered {status} while {doing}. The same request would fail again: change it, or "
        "check the limits of the workspace."
    )
