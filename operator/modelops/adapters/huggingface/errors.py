"""What a call to Hugging Face comes to, in the terms of `ports`: refused, uncertain, or not carried out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager

from modelops.ports import Refused, Unavailable, Uncertain

TOKEN = re.compile(r"hf_[A-Za-z0-9_\-]{6,}")


class NotSent(Exception):
    """No connection: the service has not seen the request."""


class LostAnswer(Exception):
    """Sent, and no answer came back."""


class NotAllowed(Exception):
    """An address that is not one of the service's; nothing was sent."""


class Answered(Exception):
    """A status that says "later", or that something went wrong there; `retry_after` in seconds."""

    def __init__(self, status: int, *, words: str, retry_after: float | None) -> None:
        super().__init__(f"HTTP {status}")
        self.status = status
        self.words = words
        self.retry_after = retry_after


@contextmanager
def reported(*, doing: str, url: str, token: str, writes: bool) -> Iterator[None]:
    """Turns what the SDK raises inside the block into Refused, Uncertain and Unavailable.

    `doing` completes the sentence "Hugging Face at <url> ... while <doing>". With `writes` an answer that was
    lost, or a server error after the request was sent, is Uncertain: it may have been carried out.
    What the caller wants to handle itself (not found, conflict) it catches inside the block.
    """
    from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled

    place = f"Hugging Face at {url}"
    try:
        yield
    except (Refused, Uncertain, Unavailable):
        raise
    except NotAllowed as error:
        raise Refused(
            f"{place}: a request while {doing} would have gone to {error}, which is not one of the "
            "operator's addresses; nothing was sent. Check the service URLs in the settings."
        ) from None
    except OfflineModeIsEnabled:
        raise Unavailable(f"{place} was not asked while {doing}: HF_HUB_OFFLINE is set; unset it.") from None
    except NotSent as error:
        raise Unavailable(f"{place} could not be reached while {doing} ({error}).") from None
    except LostAnswer as error:
        raise _unknown(
            f"{place} was asked but gave no answer while {doing} ({error}).", writes=writes
        ) from None
    except Answered as error:
        raise _later(error, place=place, doing=doing, token=token, writes=writes) from None
    except HfHubHTTPError as error:
        status = error.response.status_code
        words = without_secrets(said(error.response.text) or error.server_message or "", token)
        message = f"{place} answered {status} while {doing}" + (f": {words}" if words else "")
        if status >= 500:
            raise _unknown(message, writes=writes) from None
        raise Refused(f"{message.rstrip('.')}{_remedy(status)}") from None
    except (KeyError, TypeError, ValueError) as error:
        message = f"{place} gave an answer that was not understood while {doing} ({type(error).__name__})."
        raise _unknown(message, writes=writes) from None


def _later(error: Answered, *, place: str, doing: str, token: str, writes: bool) -> Uncertain | Unavailable:
    words = without_secrets(said(error.words), token)
    message = f"{place} answered {error.status} while {doing}" + (f": {words}" if words else "")
    if error.status in {425, 429}:
        return Unavailable(message, retry_after=error.retry_after)
    return _unknown(message, writes=writes, retry_after=error.retry_after)


def _unknown(message: str, *, writes: bool, retry_after: float | None = None) -> Uncertain | Unavailable:
    return Uncertain(message) if writes else Unavailable(message, retry_after=retry_after)


def _remedy(status: int) -> str:
    if status == 401:
        return ". Check the Secret that spec.secretRefs.huggingFace names: the token is wrong or expired."
    if status == 402:
        return ". The account has no credit or no payment method for this."
    if status == 403:
        return ". The token may not do this: check its permissions and its access to the organisation."
    return ""


def said(body: str) -> str:
    """The words in an error's body: `error` or `message` where it is JSON; at most 300 characters."""
    try:
        answer = json.loads(body)
    except ValueError:
        return "" if body.lstrip().startswith("<") else body.strip()[:300]
    words = (answer.get("error") or answer.get("message")) if isinstance(answer, dict) else answer
    return words[:300] if isinstance(words, str) else json.dumps(words)[:300] if words else ""


def without_secrets(text: str, *secrets: str) -> str:
    """The text without these values, and without anything that looks like a token of Hugging Face."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, "***")
    return TOKEN.sub("***", text)
