"""Model hosts: an agent's tokens are sent only to hosts on the operator's list.

A person who may write an AgentModel chooses addresses in it. The tokens in the namespace's Secrets must not be sent to
an address that this person controls.
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
"""The hosts of each service. They are sent the token of that service and no other token."""

_ENTRY = re.compile(r"(?:http://)?(?:\*\.)?[a-z0-9](?:[a-z0-9.-]*[a-z0-9])?(?::[0-9]{1,5})?")


@dataclass(frozen=True, kw_only=True)
class ModelHosts:
    """The list of hosts that are sent tokens, in addition to `DEFAULT_HOSTS`."""

    added: tuple[str, ...] = ()
    """Entries from MODELOPS_MODEL_HOSTS; they are sent the tokens of both services.

    An entry is `host`, `*.domain` or `host:port` and is reached by https; `http://` before it allows http instead."""
    openrouter: tuple[str, ...] = ()
    """Hosts of OpenRouter besides the default one, from its base URL."""
    loopback: bool = False
    """True in the sandbox: then only addresses of this machine are allowed. Otherwise they are never allowed."""

    def allow(self, url: str, *, service: Service) -> bool:
        """Whether this service's token may be sent to the address."""
        parts = parse_url(url)
        if parts is None or parts.hostname is None:
            return False
        local = is_loopback(url)
        if local or self.loopback:
            return local and self.loopback
        own_hosts = (*DEFAULT_HOSTS[service], *(self.openrouter if service == "openrouter" else ()))
        return any(matches_host(parts, entry) for entry in (*own_hosts, *self.added))

    def agent_refusal(self, url: str, *, namespace: str, where: str = "spec.evaluation.agent.url") -> str:
        """Why this field of an AgentModel of the namespace may not name the address; empty where it may.

        Services of the namespace are allowed: who decides where they lead can read the namespace's Secrets. Every other
        host must be listed.
        """
        parts = parse_url(url)
        host = (parts.hostname or "") if parts else ""
        local = is_loopback(url)
        if local or self.loopback:
            allowed = local and self.loopback
        else:
            allowed = bool(parts) and (
                _service_namespace(host) == namespace
                or any(parts is not None and matches_host(parts, entry) for entry in self.added)
            )
        if allowed:
            return ""
        where = f"{where} is at {host or 'an address that cannot be read'}"
        if self.loopback:
            return f"{where}, and while MODELOPS_SANDBOX is on, only 127.0.0.1, ::1 and localhost are asked"
        return (
            f"{where}, which is no Service of namespace {namespace} (<service>.{namespace}.svc) and not on the "
            "operator's list of hosts: correct the address, or have the host added to MODELOPS_MODEL_HOSTS"
        )

    def refusal(self, url: str, *, service: Service, what: str) -> str:
        """Why no token is sent to the address of `what`, as a message; empty where the token may be sent."""
        if self.allow(url, service=service):
            return ""
        parts = parse_url(url)
        host = parts.hostname if parts and parts.hostname else "an address that cannot be read"
        if self.loopback:
            return (
                f"{what} is at {host}, which is not 127.0.0.1, ::1 or localhost, and while MODELOPS_SANDBOX is on, "
                "tokens are sent nowhere else: correct the address, or unset MODELOPS_SANDBOX to use real services"
            )
        return (
            f"{what} is at {host}, which is not on the operator's list of hosts that are sent the "
            f"{'OpenRouter' if service == 'openrouter' else 'Hugging Face'} token by https: correct the "
            "address, or have the host added to MODELOPS_MODEL_HOSTS"
        )


def parse_host_list(listed: Iterable[str]) -> tuple[str, ...]:
    """The entries of a list, in lower case.

    Raises:
        ValueError: an entry has another form; the message names the first one.
    """
    entries = tuple(entry.strip().lower() for entry in listed if entry.strip())
    for entry in entries:
        if not _ENTRY.fullmatch(entry):
            raise ValueError(
                f"{entry!r} is not a host: write host, *.domain or host:port, and put http:// before it if "
                "the server has no https"
            )
    return entries


def is_loopback(url: str) -> bool:
    """Whether the address is a loopback address or `localhost`; no other name is resolved."""
    parts = parse_url(url)
    host = parts.hostname if parts else None
    if not host:
        return False
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _service_namespace(host: str) -> str:
    """The namespace of a Service by its name in the cluster's DNS; empty for any other name."""
    labels = host.removesuffix(".cluster.local").split(".")
    return labels[1] if len(labels) == 3 and labels[2] == "svc" and all(labels) else ""


def parse_url(url: str) -> SplitResult | None:
    """The address in parts; None where two URL parsers could read two different addresses."""
    if any(sign in url for sign in "\\@") or any(sign.isspace() or not sign.isprintable() for sign in url):
        return None
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return None
    if not parts.netloc.isascii():
        return None  # Parsers read such a host in different ways.
    return parts if parts.scheme in ("http", "https") else None


def matches_host(parts: SplitResult, entry: str) -> bool:
    plain = entry.startswith("http://")
    host, _, port = entry.removeprefix("http://").partition(":")
    if parts.scheme != ("http" if plain else "https") or (port and parts.port != int(port)):
        return False
    if not port and parts.port not in (None, 80 if plain else 443):
        return False
    found = parts.hostname or ""
    return found.endswith(host[1:]) and found != host[2:] if host.startswith("*.") else found == host
