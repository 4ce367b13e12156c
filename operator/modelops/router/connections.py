"""HTTP connections on the standard library; `http.client` and `ssl` are imported at the first connection."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from http.client import HTTPConnection


def new_connection(url: str, *, timeout: float, ca_file: str | None = None) -> HTTPConnection:
    """A connection to the host of `url`, not open yet. It ignores the proxies of the environment.

    `timeout` is in seconds, for connecting and for each read. Raises ValueError where the scheme is not http(s).
    """
    from http.client import HTTPConnection, HTTPSConnection

    parts = urlsplit(url)
    if not parts.hostname or parts.scheme not in ("http", "https"):
        raise ValueError("the URL is not valid: it must start with http:// or https:// and name a host")
    if parts.scheme == "http":
        return HTTPConnection(parts.hostname, parts.port, timeout=timeout)
    import ssl

    context = ssl.create_default_context(cafile=ca_file)
    return HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)


def request_path(url: str, suffix: str = "") -> str:
    """The request path of `url` with `suffix` appended."""
    parts = urlsplit(url)
    path = parts.path.rstrip("/") + suffix or "/"
    return f"{path}?{parts.query}" if parts.query else path
