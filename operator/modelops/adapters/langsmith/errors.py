"""The errors of calls to LangSmith, with the reasons that a condition shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import ClassVar

from modelops.adapters.certificates import certificate_problem


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

    from modelops.adapters.langsmith.bounded_adapter import AnswerTookTooLong

    try:
        yield
    except LangSmithError:
        raise
    except AnswerTookTooLong as error:
        raise LangSmithUnavailable(
            f"LangSmith at {url} had not ended its answer after {error.seconds:g} s while {doing}. The call is tried "
            "again; if this stays, check the endpoint, and the proxy if there is one."
        ) from None
    except (SdkError, requests.RequestException) as error:
        status = status_of(error)
        if status is None and not _is_silence(error):
            raise _unreadable(error, doing=doing, url=url) from None
        if status is None and (problem := certificate_problem(error)):
            raise LangSmithUnavailable(
                f"LangSmith at {url} could not be reached while {doing} ({problem}). The call is tried again."
            ) from None
        raise _error_of_status(status, doing=doing, url=url) from None
    except (KeyError, TypeError, ValueError) as error:
        raise _unreadable(error, doing=doing, url=url) from None


def _unreadable(error: Exception, *, doing: str, url: str) -> LangSmithUnavailable:
    return LangSmithUnavailable(
        f"LangSmith at {url} sent an answer that the SDK cannot use while {doing} ({type(error).__name__}). The call "
        "is tried again."
    )


def _is_silence(error: BaseException) -> bool:
    """Whether no answer arrived: no connection, a timeout, or a connection that was cut."""
    silent = {
        "LangSmithConnectionError",
        "LangSmithRequestTimeout",
        "RequestException",
        "HTTPError",
        "OSError",
    }
    current: BaseException | None = error
    while current is not None:
        if _class_names(current) & silent:
            return True
        current = current.__cause__ or current.__context__
    return False


def status_of(error: BaseException) -> int | None:
    """The HTTP status behind an SDK error: in the chain of causes, or what the error's class stands for.

    The SDK raises its classes without any answer as well: `LangSmithNotFoundError` for a project of which its list of
    projects has none.
    """
    current: BaseException | None = error
    while current is not None:
        status = getattr(getattr(current, "response", None), "status_code", None)
        if isinstance(status, int):
            return status
        current = current.__cause__ or current.__context__
    for inner in getattr(error, "exceptions", ()):
        status = status_of(inner)
        if status is not None:
            return status
    return next((status for name, status in _STATUS_OF_CLASS.items() if name in _class_names(error)), None)


def _class_names(error: BaseException) -> set[str]:
    return {one.__name__ for one in type(error).__mro__}


_STATUS_OF_CLASS = {
    "LangSmithNotFoundError": 404,
    "LangSmithAuthError": 401,
    "LangSmithRateLimitError": 429,
    "LangSmithConflictError": 409,
    "LangSmithUserError": 400,
    "LangSmithAPIError": 500,
}
"""The HTTP status that each class of the SDK's errors stands for (langsmith/utils.py).

`LangSmithConnectionError` and `LangSmithRequestTimeout` stand for no answer.
"""


def _error_of_status(status: int | None, *, doing: str, url: str) -> LangSmithError:
    if status is None:
        return LangSmithUnavailable(
            f"LangSmith at {url} did not answer while {doing}. The call is tried again; if this stays, check "
            "the endpoint, the proxy and the network policy."
        )
    if status in {401, 403}:
        return LangSmithUnauthorized(
            f"LangSmith at {url} answered {status} while {doing}: the key is wrong or lacks a permission. Check "
            "the Secret that spec.secretRefs.langsmith names, and the workspace that the key belongs to."
        )
    if status == 404:
        return NotFound(
            f"LangSmith at {url} knows no such object (404) while {doing}. Check the name, the endpoint and the "
            "workspace."
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
