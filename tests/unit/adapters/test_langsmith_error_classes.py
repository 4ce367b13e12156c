"""What the LangSmith SDK raises without an HTTP status is told apart by its class."""

import pytest
import requests
from langsmith import utils

from modelops.adapters.langsmith.errors import (
    Conflict,
    LangSmithError,
    LangSmithRefused,
    LangSmithUnauthorized,
    LangSmithUnavailable,
    NotFound,
    translated_errors,
)


def translated(error: Exception) -> LangSmithError:
    with (
        pytest.raises(LangSmithError) as raised,
        translated_errors(doing="reading 'docs'", url="https://ls.example"),
    ):
        raise error
    return raised.value


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (utils.LangSmithNotFoundError("Project docs not found"), NotFound, "knows no such object"),
        (utils.LangSmithAuthError("no"), LangSmithUnauthorized, "the key is wrong"),
        (utils.LangSmithConflictError("no"), Conflict, "exists already"),
        (utils.LangSmithUserError("no"), LangSmithRefused, "answered 400"),
        (utils.LangSmithRateLimitError("no"), LangSmithUnavailable, "answered 429"),
        (utils.LangSmithAPIError("no"), LangSmithUnavailable, "answered 500"),
        (utils.LangSmithConnectionError("no"), LangSmithUnavailable, "did not answer"),
        (utils.LangSmithRequestTimeout("no"), LangSmithUnavailable, "did not answer"),
        (requests.ConnectionError("no"), LangSmithUnavailable, "did not answer"),
        (requests.Timeout("no"), LangSmithUnavailable, "did not answer"),
        (utils.LangSmithError("odd"), LangSmithUnavailable, "cannot use"),
        (ValueError("1 validation error"), LangSmithUnavailable, "cannot use"),
        (KeyError("id"), LangSmithUnavailable, "cannot use"),
        (
            utils.LangSmithExceptionGroup("two", exceptions=[utils.LangSmithNotFoundError("x")]),
            NotFound,
            "knows no such object",
        ),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else "",
)
def test_each_class_becomes_its_own_error(error: Exception, kind: type[LangSmithError], words: str) -> None:
    found = translated(error)
    assert type(found) is kind
    assert words in str(found)


def test_an_error_that_is_translated_already_stays_as_it_is() -> None:
    mine = NotFound("mine")
    assert translated(mine) is mine
