"""Says that a service's certificate is not trusted, which the SDKs' errors hide behind "connection error"."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

REMEDY = (
    "if the service or the proxy has a certificate authority of your own, name a bundle with it in SSL_CERT_FILE and "
    "REQUESTS_CA_BUNDLE (privateCA in the chart's values)"
)


def certificate_problem(error: BaseException) -> str:
    """What is wrong with the certificate, and the remedy; empty where the error has another cause.

    The words are those of OpenSSL, which have no part of a request.
    """
    for cause in _causes(error):
        # aiohttp has a subclass without the words of OpenSSL, which has the error with them as an argument.
        if isinstance(cause, ssl.SSLCertVerificationError) and (
            words := getattr(cause, "verify_message", "")
        ):
            return f"its certificate is not trusted: {words}; {REMEDY}"
    return ""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and those behind it. urllib3 has the cause as `reason` or as an argument."""
    waiting, seen = [error], set[int]()
    while waiting:
        current = waiting.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        behind = (current.__cause__, current.__context__, getattr(current, "reason", None), *current.args)
        waiting.extend(one for one in behind if isinstance(one, BaseException))
