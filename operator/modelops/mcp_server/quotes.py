"""Quotes: what a client confirms that cannot ask a person. A quote is for one thing and one caller, and expires."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from modelops.tools.errors import QuoteRefused

VALID: Final = timedelta(minutes=15)
_PREFIX: Final = "q1-"
_EXPIRY_BYTES: Final = 5
_LABEL: Final = b"modelops/mcp/quote/v1"


@dataclass(frozen=True)
class Quote:
    """`quote_id` is opaque to the client."""

    quote_id: str
    valid_until: datetime


class Quotes:
    """Issues and checks quotes: an expiry with an HMAC-SHA256 over it and over what the quote is for.

    Nothing is stored. What a quote is for is computed again when it comes back, from the arguments and the cluster, so
    a quote for anything else, or from before a change, does not fit. `secret`: 32 bytes or more, the same in every
    replica. `now` is the time in UTC.
    """

    def __init__(self, secret: bytes, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._key = hmac.digest(secret, _LABEL, hashlib.sha256)
        self._now = now

    def issue(self, subject: Mapping[str, Any]) -> Quote:
        """A quote for `subject`: everything that it depends on, as JSON."""
        until = self._now().replace(microsecond=0) + VALID
        expiry = int(until.timestamp()).to_bytes(_EXPIRY_BYTES, "big")
        token = base64.urlsafe_b64encode(expiry + self._signature(expiry, subject)).decode().rstrip("=")
        return Quote(quote_id=_PREFIX + token, valid_until=until)

    def ensure_valid(self, quote_id: str, subject: Mapping[str, Any]) -> None:
        """Raise QuoteRefused where the quote is malformed, has expired, or is for something else."""
        token = quote_id.removeprefix(_PREFIX)
        try:
            read = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        except (ValueError, binascii.Error):
            read = b""
        expiry, signature = read[:_EXPIRY_BYTES], read[_EXPIRY_BYTES:]
        if not quote_id.startswith(_PREFIX) or not hmac.compare_digest(
            signature, self._signature(expiry, subject)
        ):
            raise QuoteRefused(
                "this quote is for something else, for another caller, or for a state that has changed since: nothing "
                "was done; call again without quote_id for a new one"
            )
        if int.from_bytes(expiry, "big") < self._now().timestamp():
            raise QuoteRefused(
                "this quote has expired: nothing was done; call again without quote_id for a new one"
            )

    def _signature(self, expiry: bytes, subject: Mapping[str, Any]) -> bytes:
        content = json.dumps(subject, sort_keys=True, separators=(",", ":")).encode()
        return hmac.digest(self._key, expiry + content, hashlib.sha256)[:16]
