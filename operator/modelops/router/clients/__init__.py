"""Clients of the OpenAI API that the router has routed: `Router.openai`, `Router.async_openai`, `Router.chat_model`.

The package `openai` sends each request by the transport here, which picks the route, sends the request there and counts
it. The modules of this package import `openai`, and are imported when one of these methods is first called.
"""

from __future__ import annotations

import os
import weakref
from typing import Any


class Connections:
    """The HTTP connections of one router, which the clients of all its sessions share. A process has its own."""

    def __init__(self) -> None:
        self._process = os.getpid()
        self.shared: Any = None
        """The client that sends; None before the first request."""
        self.of_loop: weakref.WeakKeyDictionary[Any, Any] = weakref.WeakKeyDictionary()
        """The client of each event loop, which cannot use another loop's connections."""

    def leave_those_of_the_parent(self) -> None:
        """After a fork, forgets the parent's connections: two processes on one socket would read each other's answers.

        A client that was made before the fork comes here with them; the router itself has new ones.
        """
        if self._process != os.getpid():
            self._process = os.getpid()
            self.shared = None
            self.of_loop = weakref.WeakKeyDictionary()

    def close(self) -> None:
        """Closes what no event loop owns."""
        shared, self.shared = self.shared, None
        if shared is not None:
            shared.close()
