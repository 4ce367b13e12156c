"""Translates the errors of a call to Hugging Face into those of `ports`: Refused, Uncertain, Unavailable."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from modelops.ports import Refused, TokenRefused, Unavailable, Uncertain

TOKEN = re.compile(r"hf_[A-Za-z0-9_\-]{6,}")


STORAGE_REMEDY = ". Free storage of the account, or add some in its billing settings."
"""The Hub answers 403 also where an account's storage is used up; only its own words tell the two apart."""


class RequestNotSent(Exception):
    """There was no connection: the service did not receive the request."""


class AnswerLost(Exception):
    """The request was sent, and no answer arrived."""


class AddressNotAllowed(Exception):
    """The request was not sent: its address is not one that the operator was given. The message is that address."""


class RetryableStatus(Exception):
    """A status that may change when the request is sent again: 408, 425, 429, 5xx. `retry_after` is in seconds."""

    def __init__(self, status: int, *, body: str, retry_after: float | None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.body = body
        self.retry_after = retry_after


@contextmanager
def translated_errors(*, doing: str, url: str, token: str, writes: bool) -> Iterator[None]:
    """Turns the errors that the SDK raises inside the block into Refused, Uncertain and Unavailable.

    `doing` completes the sentence "Hugging Face at <url> ... while <doing>". With `writes`, a lost answer or a
    server error is Uncertain, because the request may have been carried out. A caller that handles an error
    itself (not found, conflict) catches it inside the block.
    """
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    place = f"Hugging Face at {url}"
    try:
        yield
    except (Refused, Uncertain, Unavailable):
        raise
    except AddressNotAllowed as error:
        raise Refused(
            f"{place}: while {doing}, the SDK wanted to send a request to {error}, which is not one of the "
            "operator's addresses; nothing was sent. Check the service URLs in the operator's settings."
        ) from None
    except OfflineModeIsEnabled:
        raise Unavailable(
            f"{place} was not called while {doing}, because HF_HUB_OFFLINE is set; unset it."
        ) from None
    except RequestNotSent as error:
        raise Unavailable(
            f"{place} could not be reached while {doing} ({error}). The operator tries again; if this stays, check "
            "the address, the proxy and the network policy."
        ) from None
    except AnswerLost as error:
        raise _outcome_unknown(
            f"{place} received a request but sent no answer while {doing} ({error}).", writes=writes
        ) from None
    except RetryableStatus as error:
        raise _from_retryable_status(error, place=place, doing=doing, token=token, writes=writes) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        text = without_secrets(error_text(error.response.text) or error.server_message or "", token)
        message = f"{place} answered {status} while {doing}" + (f": {text}" if text else "")
        if status >= 500:
            raise _outcome_unknown(message, writes=writes) from None
        if status in (402, 403) and "storage" in text.lower():
            raise Refused(f"{message.rstrip('.')}{STORAGE_REMEDY}") from None
        refusal = TokenRefused if status in (401, 403) else Refused
        raise refusal(f"{message.rstrip('.')}{_remedy(status)}") from None
    except (KeyError, TypeError, ValueError) as error:
        message = f"{place} sent an answer that the SDK cannot read while {doing} ({type(error).__name__})."
        raise _outcome_unknown(message, writes=writes) from None


def _from_retryable_status(
    error: RetryableStatus, *, place: str, doing: str, token: str, writes: bool
) -> Uncertain | Unavailable:
    text = without_secrets(error_text(error.body), token)
    message = f"{place} answered {error.status} while {doing}" + (f": {text}" if text else "")
    if error.status in {425, 429}:
        return Unavailable(message, retry_after=error.retry_after)
    return _outcome_unknown(message, writes=writes, retry_after=error.retry_after)


def _outcome_unknown(
    message: str, *, writes: bool, retry_after: float | None = None
) -> Uncertain | Unavailable:
    return Uncertain(message) if writes else Unavailable(message, retry_after=retry_after)


def _remedy(status: int) -> str:
    if status == 401:
        return ". The token is wrong or expired: replace it in the Secret that spec.secretRefs.huggingFace names."
    if status == 402:
        return ". The account has no credit or no payment method: add one in its billing settings."
    if status == 403:
        return ". The token lacks a permission: check its scopes and its access to the organisation."
    return ""


def error_text(body: str) -> str:
    """The message in an error's body, at most 300 characters: `error` or `message` of JSON, else the text itself."""
    try:
        answer = json.loads(body)
    except ValueError:
        return storage_error(body) if body.lstrip().startswith("<") else body.strip()[:300]
    text = (answer.get("error") or answer.get("message")) if isinstance(answer, dict) else answer
    if isinstance(text, dict):  # as OpenAI's API has it
        text = text.get("message") or text
    return text[:300] if isinstance(text, str) else json.dumps(text)[:300] if text else ""


def storage_error(body: str) -> str:
    """Code and message of an error of the object storage behind the Hub, which is XML; empty for a page of HTML.

    https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
    """
    parts = (re.search(rf"<{name}>([^<]*)</{name}>", body[:4096]) for name in ("Code", "Message"))
    return ": ".join(part[1].strip() for part in parts if part)[:300]


def without_secrets(text: str, *secrets: str) -> str:
    """The text without these values, and without anything that looks like a token of Hugging Face."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return TOKEN.sub("***", text)
