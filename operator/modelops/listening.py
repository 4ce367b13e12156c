"""Listens on an address, or on every address of both families, and writes such addresses in URLs."""

import errno
import socket

EVERY_ADDRESS = "::"
"""The host for every address, IPv6 and IPv4. On a machine without IPv6 it is every IPv4 address."""
_UNSPECIFIED = {"::": socket.AF_UNSPEC, "0.0.0.0": socket.AF_INET}
_WITHOUT_IPV6 = frozenset({errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL})


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens. Raises OSError where that address cannot be used, or the port is taken.

    Servers that are given "::" itself, such as asyncio's, listen on IPv6 alone. Its connections send at once: asyncio
    sees to that only for sockets of its own, and an answer in two parts would wait 40 ms for the second.
    """
    listening = _listen(host, port)
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return listening


def _listen(host: str, port: int) -> socket.socket:
    if host == EVERY_ADDRESS:
        try:
            if socket.has_dualstack_ipv6():
                return socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=True)
        except OSError as error:
            if error.errno not in _WITHOUT_IPV6:
                raise
        host = "0.0.0.0"
    family, _, _, _, address = socket.getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    return socket.create_server(address, family=family)


def base_url(host: str, port: int) -> str:
    """`http://host:port`; an IPv6 address gets its brackets."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reachable_host(host: str) -> str:
    """The host for other machines: for every address, the one that this machine's name has.

    In a Pod the kubelet has written its address into /etc/hosts. Where the name has no address, `host` as it is.
    """
    if host not in _UNSPECIFIED:
        return host
    try:
        found = socket.getaddrinfo(
            socket.gethostname(), None, family=_UNSPECIFIED[host], type=socket.SOCK_STREAM
        )
    except OSError:
        return host
    return str(found[0][4][0])


def local_host(host: str) -> str:
    """The host for this machine: for every address, the loopback."""
    return "127.0.0.1" if host in _UNSPECIFIED else host
