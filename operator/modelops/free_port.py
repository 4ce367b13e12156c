"""A TCP port for a server on this machine that is told its port before it starts, and keeps it when it restarts."""

import random
import socket
import sys
from collections import deque

PORTS = range(20_000, 30_000)
"""Below the ports that Linux (from 32768 on) and macOS (from 49152 on) give to outgoing connections, and below
Kubernetes' node ports (from 30000 on). A port that the kernel picks is in the first of these ranges: between two starts
of a server, any outgoing connection of any process could take it."""

_RESERVED = 64
_reservations: deque[socket.socket] = deque()


def free_port() -> int:
    """Return a port of PORTS that no socket of 127.0.0.1 is bound to.

    On Linux this process stays bound to the last ports that it was given, without listening, so that no other process
    is given one of them before its server has started. A server that sets SO_REUSEADDR, as servers do, may listen.

    Raises:
        OSError: all of them are taken.
    """
    for port in random.SystemRandom().sample(PORTS, len(PORTS)):
        found = socket.socket()
        try:
            found.bind(("127.0.0.1", port))
        except OSError:
            found.close()
            continue
        if sys.platform == "linux":
            _reserve(found)
        else:  # Only Linux lets a server listen beside a socket that is bound to its port.
            found.close()
        return port
    raise OSError(
        f"every TCP port of 127.0.0.1 from {PORTS.start} to {PORTS.stop - 1} is taken: stop some servers"
    )


def _reserve(bound: socket.socket) -> None:
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    _reservations.append(bound)
    if len(_reservations) > _RESERVED:
        _reservations.popleft().close()
