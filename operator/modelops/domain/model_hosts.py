"""Where a model may be asked with an agent's token: tokens go to hosts on the operator's list only.

Whoever may write an AgentModel chooses addresses in it; what the Secrets beside it hold must not go there.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal
from urllib.parse import SplitResult, urlsplit

Service = Literal["huggingface", "openrouter"]

DEFAULT_HOSTS: Final[dict[Service, tuple[str, ...]]] = {
    "huggingface": ("*.endpoints.huggingface.cloud", "router.huggingface.co"),
    "openrouter": ("openrouter.ai",),
}
"""Each service's own hosts, which are sent that service's token and no other's."""

_ENTRY = re.compile(r"(?:http://)?(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?")


@dataclass(frozen=True, kw_only=True)
class ModelHosts:
    """The list. `added`: entries of the installation's own, for the tokens of both services.

    An entry is `host`, `*.domain` or `host:port`, reached by https; `http://` before it allows http instead.
    `loopback`: the sandbox, in which this machine's own addresses count and no others. Otherwise they never do.
    """

    added: tuple[str, ...] = ()
    openrouter: tuple[str, ...] = ()
    """Hosts besides the default one where OpenRouter is, from its base URL."""
    loopback: bool = False

    def allow(self, url: str, *, service: Service) -> bool:
        """Whether this service's token may be sent to the address."""
        parts = _read(url)
        if parts is None or parts.hostname is None:
            return False
        local = is_loopback(url)
        if local or self.loopback:
            return local and self.loopback
        own = (*DEFAULT_HOSTS[service], *(self.openrouter if service == "openrouter" else ()))
        return any(_matches(parts, entry) for entry in (*own, *self.added))

    def refusal(self, url: str, *, service: Service, what: str) -> str:
        """Why the address of `what` is not asked, for a person; empty where it may be."""
        if self.allow(url, service=service):
            return ""
        parts = _read(url)
        host = parts.hostname if parts and parts.hostname else "an address that cannot be read"
        if self.loopback:
            return (
                f"{what} is at {host}, which is not 127.0.0.1, ::1 or localhost, and with MODELOPS_SANDBOX on no "
                "token is sent elsewhere: correct the address, or unset MODELOPS_SANDBOX to use real services"
            )
        return (
            f"{what} is at {host}, which is not on the operator's list of hosts that are sent the "
            f"{'OpenRouter' if service == 'openrouter' else 'Hugging Face'} token by https: correct the "
            "address, or have the host added to MODELOPS_MODEL_HOSTS"
        )


def entries(given: Iterable[str]) -> tuple[str, ...]:
    """The entries of a list, in lower case. Raises ValueError that names the first one of another form."""
    listed = tuple(entry.strip().lower() for entry in given if entry.strip())
    for entry in listed:
        if not _ENTRY.fullmatch(entry):
            raise ValueError(
                f"{entry!r} is no host: write host, *.domain or host:port, with http:// before it where the "
                "server has no https"
            )
    return listed


def is_loopback(url: str) -> bool:
    """Whether the address names this machine literally; no name is resolved."""
    parts = _read(url)
    host = parts.hostname if parts else None
    if not host:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _read(url: str) -> SplitResult | None:
    """The address in parts; None where two readers could take it for two different ones."""
    if any(sign in url for sign in "\\@") or any(sign.isspace() or not sign.isprintable() for sign in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    return parts if parts.scheme in ("http", "https") else None


def _matches(parts: SplitResult, entry: str) -> bool:
    plain = entry.startswith("http://")
    host, _, port = entry.removeprefix("http://").partition(":")
    if parts.scheme != ("http" if plain else "https") or (port and parts.port != int(port)):
        return False
    if not port and parts.port not in (None, 80 if plain else 443):
        return False
    found = parts.hostname or ""
    return found.endswith(host[1:]) and found != host[2:] if host.startswith("*.") else found == host
