"""To which addresses notifications may be sent.

Who may write a Secret of the namespace chooses the URL, and the operator's Pod reaches more than that person does: the
API server, the cloud's metadata service, other namespaces. So an address inside must be allowed by the installation.
"""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final

from modelops.domain.model_hosts import is_loopback, matches_host, parse_url

_WRAPPING: Final = (ipaddress.IPv6Network("::/96"), ipaddress.IPv6Network("64:ff9b::/96"))


@dataclass(frozen=True, kw_only=True)
class NotificationHosts:
    """`added`: entries of MODELOPS_NOTIFICATION_HOSTS. `loopback`: in the sandbox, where nothing else is allowed."""

    added: tuple[str, ...] = ()
    loopback: bool = False

    def refusal(self, url: str) -> str:
        """Why nothing is sent there, without the URL, which is a secret; empty where it may be tried."""
        parts = parse_url(url)
        if parts is None or not parts.hostname:
            return (
                "it is no http or https URL, or has a user, a password, white space, a backslash, or a host that is "
                "not written in ASCII (xn--...) in it"
            )
        local = is_loopback(url)
        if self.loopback:
            return (
                "" if local else "while MODELOPS_SANDBOX is on, only 127.0.0.1, ::1 and localhost are allowed"
            )
        if self.is_listed(url):
            return ""
        if parts.scheme != "https":
            return "it is http: write an https URL, or have the host added to MODELOPS_NOTIFICATION_HOSTS"
        if local or is_inside(parts.hostname):
            return (
                "its host is inside the cluster or its network: have it added to MODELOPS_NOTIFICATION_HOSTS"
            )
        return ""

    def is_listed(self, url: str) -> bool:
        """Whether the installation allows the host, wherever its name leads."""
        parts = parse_url(url)
        return parts is not None and any(matches_host(parts, entry) for entry in self.added)


def is_inside(host: str) -> bool:
    """Whether a host is an address that is not public, or a name that only a cluster's DNS knows."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        name = host.rstrip(".").lower()
        return "." not in name or name.endswith((".svc", ".local", ".internal", ".localhost"))
    return not is_public(str(address))


def is_public(address: str) -> bool:
    """Whether the address is one of the internet; one that is written inside another form counts as itself."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        found = _inner(found) or found
    return found.is_global and not found.is_multicast


def _inner(address: ipaddress.IPv6Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address inside: mapped, compatible (RFC 4291), by 6to4, or by the known prefix of NAT64 (RFC 6052)."""
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour
    is_wrapped = any(address in network for network in _WRAPPING)
    return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF) if is_wrapped else None
